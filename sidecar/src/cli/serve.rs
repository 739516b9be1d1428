//! `audit-sidecar serve`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::checkpoint::{Health, Settings, Signer};
use crate::config::ServeArgs;
use crate::http::router;
use crate::http::state::AppState;

/// Serves until SIGTERM or SIGINT, then lets what runs come to its end, within the time-out.
///
/// # Errors
/// Where the configuration is not acceptable or the address cannot be listened on.
pub async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let state = AppState::new(args)?;
    let signer = Settings::load(&state.config.signing)?.map(|settings| Signer::new(settings, state.database.clone()));
    let listen = state.config.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let mut signals = Signals::new()?;
    let (stop, stopped) = watch::channel(());
    let most = state.config.shutdown_timeout;
    tracing::info!(address = %listener.local_addr()?, "listening");

    // Ends with this function: a round that is cut off has signed nothing that it does not remember.
    let mut signing = JoinSet::new();
    if let Some(signer) = signer {
        let interval = state.config.checkpoint_interval;
        state.signing.set_up(&state.metrics, interval)?;
        signing.spawn(sign(signer, state.signing.clone(), interval));
    }

    let router = router::router(state)?.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        let mut stopped = stopped;
        // Ends when the sender is dropped.
        while stopped.changed().await.is_ok() {}
    });
    let mut server = tokio::spawn(server.into_future());

    tokio::select! {
        ended = &mut server => ended??,
        name = signals.next() => {
            tracing::info!(signal = name, timeout = ?most, "stopping: nothing new is accepted, what runs may end");
            drop(stop);
            tokio::select! {
                ended = &mut server => ended??,
                () = tokio::time::sleep(most) => {
                    tracing::warn!("time-out: what still ran was cut off");
                    return Ok(ExitCode::FAILURE);
                }
                name = signals.next() => {
                    tracing::warn!(signal = name, "second signal: what still ran was cut off");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn sign(signer: Signer, health: Health, interval: Duration) {
    let mut rounds = tokio::time::interval(interval.max(SHORTEST_INTERVAL));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        health.note(&signer.round().await);
    }
}

/// Every round appends an event, if only because of the one before.
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
