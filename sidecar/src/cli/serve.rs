//! `audit-sidecar serve`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum_server::Handle;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::checkpoint::{Health, Settings, Signer};
use crate::config::ServeArgs;
use crate::http::listener::{self, Certificate};
use crate::http::router;
use crate::http::state::AppState;
use crate::postgres::replica::ReplicaState;
use crate::postgres::version;

/// Serves until SIGTERM or SIGINT. Running requests then have a limited time to complete.
///
/// # Errors
/// Fails if the configuration is not valid, if the extension in the database has a version that does not go with the sidecar, or if
/// the sidecar cannot listen on the address.
pub async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    if !args.embed_origins.is_empty() && args.tls_cert.is_none() && args.trusted_proxies.is_empty() {
        bail!(
            "--embed-origin needs HTTPS, because browsers accept the cookie in a frame over HTTPS only. Give --tls-cert and \
             --tls-key, or --trusted-proxy"
        );
    }
    let mut state = AppState::new(args)?;
    state.database.require_sessions().await?;
    // A database that cannot be reached passes. Then /readyz tells of its version.
    if let Ok(Some(extension)) = state.database.read(version::of_extension).await
        && let Some(problem) = version::mismatch(&extension)
    {
        bail!(problem);
    }
    if state.reads.replica_state().await.is_ok_and(|found| found == ReplicaState::Stranger) {
        bail!("--replica-url and --database-url name databases with different audit logs");
    }
    let settings = Settings::load(&state.config.signing)?;
    // Two processes with one state would wait for each other in each round.
    let _reserved = settings.as_ref().map(Settings::reserve).transpose()?;
    state.signing_keys = settings.iter().flat_map(Settings::vkeys).collect();
    let signer = settings.map(|settings| Signer::new(settings, state.database.clone()));
    let config = Arc::clone(&state.config);
    let certificate = match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => Some(Certificate::read(certificate, key)?),
        _ => None,
    };
    let listen = config.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let mut signals = Signals::new()?;
    let shutdown = state.shutdown.clone();
    let most = config.shutdown_timeout;
    tracing::info!(address = %listener.local_addr()?, "listening");

    // The tasks end with this function. A cancelled round has signed nothing that is not stored.
    let mut tasks = JoinSet::new();
    if let Some(signer) = signer {
        let interval = config.checkpoint_interval;
        state.signing.set_up(&state.metrics, interval)?;
        let wanted = Arc::new(Notify::new());
        tasks.spawn(sign(signer, state.signing.clone(), interval, Arc::clone(&wanted)));
        state.signer = Some(wanted);
    }

    let router = router::router(state)?;
    let handle = Handle::new();
    let tls = certificate.as_ref().map(Certificate::config);
    let server = listener::serve(listener, router, tls, config.max_connections.into(), handle.clone());
    let mut server = tokio::spawn(server);
    if let Some(certificate) = certificate {
        tasks.spawn(certificate.follow());
    }
    let begun = shutdown.clone();
    tasks.spawn(async move {
        begun.begun().await;
        handle.graceful_shutdown(None);
    });

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
