//! The subcommands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::LogArgs;

pub mod archive;
pub mod checkpoint;
mod filters;
pub mod hold;
mod interactive;
pub mod key;
pub mod maintain;
pub mod pack;
pub mod redact;
pub mod retention;
pub mod serve;
mod session;
pub mod status;
pub mod token;
pub mod verify;
pub mod witness;

/// REST, evidence packs and tokens for the audit log that the PostgreSQL extension audit_log keeps.
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

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve REST over HTTP until SIGTERM or SIGINT
    Serve(Box<crate::config::ServeArgs>),
    /// Create, list and revoke bearer tokens
    Token(token::TokenArgs),
    /// Sign a checkpoint now, or make signing begin anew
    Checkpoint(Box<checkpoint::CheckpointArgs>),
    /// Make keys that checkpoints are signed with
    Key(key::KeyArgs),
    /// Cosign the checkpoints of other deployments
    Witness(witness::WitnessArgs),
    /// Write an evidence pack to a file
    Pack(Box<pack::PackArgs>),
    /// Check an evidence pack, offline: exit status 0 where it holds, 1 where it does not, 2 where it is unreadable
    Verify(verify::VerifyArgs),
    /// Write what is due to be dropped to object storage, as Parquet
    Archive(Box<archive::ArchiveArgs>),
    /// Show or set how long events of a workspace are kept
    Retention(retention::RetentionArgs),
    /// Place, release and list legal holds
    Hold(hold::HoldArgs),
    /// Erase one field of an event for good; its leaf stays valid
    Redact(redact::RedactArgs),
    /// Run maintenance once: make partitions, remove what is past its retention
    Maintain(maintain::MaintainArgs),
    /// Show how the log gets on; exit status 1 where someone has to look
    Status(status::StatusArgs),
}

/// Does it.
///
/// # Errors
/// With what the person at the command line should read.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(*args).await,
        Command::Token(args) => token::run(args).await,
        Command::Checkpoint(args) => checkpoint::run(*args).await,
        Command::Key(args) => key::run(args),
        Command::Witness(args) => witness::run(args).await,
        Command::Pack(args) => pack::run(*args).await,
        Command::Verify(args) => verify::run(args),
        Command::Archive(args) => archive::run(*args).await,
        Command::Retention(args) => retention::run(args).await,
        Command::Hold(args) => hold::run(args).await,
        Command::Redact(args) => redact::run(args).await,
        Command::Maintain(args) => maintain::run(args).await,
        Command::Status(args) => status::run(args).await,
    }
}
