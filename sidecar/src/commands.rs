//! The subcommands.

use std::process::ExitCode;

use clap::Subcommand;

pub mod archive;
mod interactive;
pub mod pack;
pub mod serve;
pub mod token;

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve REST over HTTP until SIGTERM or SIGINT
    Serve(Box<crate::config::ServeArgs>),
    /// Create, list and revoke bearer tokens
    Token(token::TokenArgs),
    /// Write an evidence pack to a file
    Pack(Box<pack::PackArgs>),
    /// Write what is due to be dropped to object storage, as Parquet
    Archive(Box<archive::ArchiveArgs>),
}

/// Does it.
///
/// # Errors
/// With what the person at the command line should read.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(*args).await,
        Command::Token(args) => token::run(args).await,
        Command::Pack(args) => pack::run(*args).await,
        Command::Archive(args) => archive::run(*args).await,
    }
}
