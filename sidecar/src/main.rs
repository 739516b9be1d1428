//! The program `audit-sidecar`.

use std::process::ExitCode;

use clap::Parser;

use audit_sidecar::cli::{Cli, run};
use audit_sidecar::logging;

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
