//! The subcommands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::LogArgs;

pub mod admin;
pub mod archive;
pub mod checkpoint;
mod filters;
pub mod hold;
mod interactive;
pub mod key;
mod known_keys;
pub mod maintain;
mod output;
pub mod pack;
mod part;
pub mod recover;
pub mod redact;
pub mod retention;
pub mod serve;
mod session;
pub mod status;
pub mod token;
pub mod verify;
pub mod witness;

/// REST, evidence packs, signing and tokens for the audit log of the PostgreSQL extension audit_log
#[derive(Parser)]
#[command(name = "audit-sidecar", version)]
pub struct Cli {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become help text")]
    pub log: LogArgs,
    #[command(subcommand)]
    #[expect(missing_docs, reason = "a doc comment here would become help text")]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand)]
pub enum Command {
    /// Serve REST over HTTP until SIGTERM or SIGINT
    Serve(Box<crate::config::ServeArgs>),
    /// Create, list and revoke bearer tokens
    Token(token::TokenArgs),
    /// Log in to the admin pages without a token
    Admin(admin::AdminArgs),
    /// Sign a checkpoint now, or reset signing
    Checkpoint(Box<checkpoint::CheckpointArgs>),
    /// Create and show signing keys
    Key(key::KeyArgs),
    /// Cosign the checkpoints of other deployments
    Witness(witness::WitnessArgs),
    /// Write an evidence pack to a file
    Pack(Box<pack::PackArgs>),
    /// Verify evidence packs offline; exit with 0 if they hold, 1 if not, 2 if one cannot be checked, and 3 if only the pack
    /// names its key
    Verify(verify::VerifyArgs),
    /// Recover events that were deleted or changed, from a restored backup or a pack; exit with 0 if none is lost or all are
    /// recovered, 1 if not, and 2 if the command cannot run
    Recover(Box<recover::RecoverArgs>),
    /// Write partitions that are due to be dropped to object storage, as Parquet
    Archive(Box<archive::ArchiveArgs>),
    /// Show or set how long events of a workspace are kept
    Retention(retention::RetentionArgs),
    /// Place, release and list legal holds
    Hold(hold::HoldArgs),
    /// Erase one field of an event permanently; proofs of the event stay valid
    Redact(redact::RedactArgs),
    /// Run maintenance once: create partitions and remove expired events
    Maintain(maintain::MaintainArgs),
    /// Show health checks; exit with 1 if one fails
    Status(status::StatusArgs),
}

/// Runs a subcommand.
///
/// # Errors
/// Fails with a message for the user of the command line.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(*args).await,
        Command::Token(args) => token::run(args).await,
        Command::Admin(args) => admin::run(args).await,
        Command::Checkpoint(args) => checkpoint::run(*args).await,
        Command::Key(args) => key::run(args),
        Command::Witness(args) => witness::run(args).await,
        Command::Pack(args) => pack::run(*args).await,
        Command::Verify(args) => verify::run(args),
        Command::Recover(args) => recover::run(*args).await,
        Command::Archive(args) => archive::run(*args).await,
        Command::Retention(args) => retention::run(args).await,
        Command::Hold(args) => hold::run(args).await,
        Command::Redact(args) => redact::run(args).await,
        Command::Maintain(args) => maintain::run(args).await,
        Command::Status(args) => status::run(args).await,
    }
}
