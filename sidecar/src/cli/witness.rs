//! `audit-sidecar witness`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use audit_proof::checkpoint::Key;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum_server::Handle;
use clap::{Args, Subcommand};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tower_http::timeout::TimeoutLayer;

use super::interactive::interrupted;
use crate::checkpoint::key::PrivateKey;
use crate::http::{body, listener};
use crate::witness::Witness;

/// Arguments of `witness`.
#[derive(Args)]
pub struct WitnessArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Cosign the checkpoints of other logs (C2SP tlog-witness) until SIGTERM or SIGINT; no database is needed
    Serve(ServeArgs),
}

#[derive(Args)]
struct ServeArgs {
    /// Key file of the witness, from audit-sidecar key create --witness
    #[arg(long, env = "AUDIT_WITNESS_KEY_FILE", value_name = "FILE")]
    key: PathBuf,
    /// Folder in which the witness stores the last checkpoint of each log
    #[arg(long, env = "AUDIT_WITNESS_STATE", value_name = "DIR")]
    state: PathBuf,
    /// Public key of a log whose checkpoints are cosigned. You can repeat this option
    #[arg(long = "log-key", env = "AUDIT_WITNESS_LOG_KEYS", value_delimiter = ',', value_name = "VKEY", required = true, value_parser = key)]
    logs: Vec<Key>,
    /// Address and port to listen on; port 0 selects a free port
    #[arg(long, env = "AUDIT_WITNESS_LISTEN", default_value = "127.0.0.1:8788")]
    listen: SocketAddr,
}

/// Serves the witness.
///
/// # Errors
/// Fails if the key or the folder cannot be used, or if the witness cannot listen on the address.
pub async fn run(args: WitnessArgs) -> anyhow::Result<ExitCode> {
    let Action::Serve(args) = args.action;
    let key = PrivateKey::read(&args.key)?;
    let witness = Arc::new(Witness::new(key, &args.logs, &args.state)?);
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let stop = interrupted()?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let router = Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/healthz", get(async || "ok\n"))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, PATIENCE))
        .with_state(witness);
    let handle = Handle::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        let signal = stop.await;
        tracing::info!(signal, "stopping");
        stopping.graceful_shutdown(None);
    });
    listener::serve(listener, router, None, MOST_CONNECTIONS, handle).await?;
    Ok(ExitCode::SUCCESS)
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, request: Request) -> Response {
    let body = match body::bytes(request.into_body(), MOST).await {
        Ok(body) => body,
        Err(error) => return (error.status(), format!("{}\n", error.message())).into_response(),
    };
    // The witness waits for the disk.
    match spawn_blocking(move || witness.add_checkpoint(&body)).await {
        Ok(answer) => {
            tracing::info!(status = answer.status.as_u16(), "answered");
            (answer.status, [(header::CONTENT_TYPE, answer.content_type())], answer.body).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn key(text: &str) -> Result<Key, String> {
    Key::parse(text).map_err(|error| error.to_string())
}

const PATIENCE: Duration = Duration::from_secs(30);

const MOST_CONNECTIONS: usize = 100;

/// Maximum size of a request body. A checkpoint with some signatures takes less than a tenth of it.
const MOST: usize = 64 << 10;
