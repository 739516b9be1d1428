//! `audit-sidecar serve`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::checkpoint::{Health, Settings, Signer};
use crate::config::ServeArgs;
use crate::http::router;
use crate::http::state::AppState;
use crate::postgres::replica::ReplicaState;

/// Serves until SIGTERM or SIGINT. Running requests then have a limited time to complete.
///
/// # Errors
/// Fails if the configuration is not valid, or if the sidecar cannot listen on the address.
pub async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut state = AppState::new(args)?;
    state.database.require_sessions().await?;
    if state.reads.replica_state().await.is_ok_and(|found| found == ReplicaState::Stranger) {
        bail!("--replica-url and --database-url name databases with different audit logs");
    }
    let signer = Settings::load(&state.config.signing)?.map(|settings| Signer::new(settings, state.database.clone()));
    let listen = state.config.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let mut signals = Signals::new()?;
    let shutdown = state.shutdown.clone();
    let most = state.config.shutdown_timeout;
    tracing::info!(address = %listener.local_addr()?, "listening");

    // The task ends with this function. A cancelled round has signed nothing that is not stored.
    let mut signing = JoinSet::new();
    if let Some(signer) = signer {
        let interval = state.config.checkpoint_interval;
        state.signing.set_up(&state.metrics, interval)?;
        let wanted = Arc::new(Notify::new());
        signing.spawn(sign(signer, state.signing.clone(), interval, Arc::clone(&wanted)));
        state.signer = Some(wanted);
    }

    let router = router::router(state)?.into_make_service_with_connect_info::<SocketAddr>();
    let begun = shutdown.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move { begun.begun().await });
    let mut server = tokio::spawn(server.into_future());

    tokio::select! {
        ended = &mut server => ended??,
        name = signals.next() => {
            tracing::info!(signal = name, timeout = ?most, "stopping: new requests are refused, running ones can complete");
            shutdown.begin();
            tokio::select! {
                ended = &mut server => ended??,
                () = tokio::time::sleep(most) => {
                    tracing::warn!("shutdown time-out: the remaining requests were aborted");
                    return Ok(ExitCode::FAILURE);
                }
                name = signals.next() => {
                    tracing::warn!(signal = name, "second signal: the remaining requests were aborted");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Signs at every interval, and when a checkpoint is wanted.
async fn sign(signer: Signer, health: Health, interval: Duration, wanted: Arc<Notify>) {
    let mut rounds = tokio::time::interval(interval.max(SHORTEST_INTERVAL));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => {}
            () = wanted.notified() => tokio::time::sleep(SHORTEST_INTERVAL).await,
        }
        health.note(&signer.round().await);
    }
}

/// Minimum interval. Each round appends an event, because the previous round has appended one.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
