//! The command line of the sidecar.

use std::process::ExitCode;

use clap::Parser;

use audit_sidecar::cli::{Command, run};
use audit_sidecar::config::LogArgs;
use audit_sidecar::logging;

/// REST, evidence packs and tokens for the audit log that the PostgreSQL extension audit_log keeps.
#[derive(Parser)]
#[command(name = "audit-sidecar", version)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::init(&cli.log);
    match run(cli.command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("audit-sidecar: {error:#}");
            ExitCode::FAILURE
        }
    }
}
