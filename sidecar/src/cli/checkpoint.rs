//! `audit-sidecar checkpoint`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::checkpoint::{self, Error, Round, Settings, Signer};
use crate::cli::output::{self, note, say};
use crate::cli::session::{actor, connect, explain};
use crate::config::{DatabaseArgs, SigningArgs};
use crate::postgres::pool::Database;
use crate::text::printable;

/// Arguments of `checkpoint`.
#[derive(Args)]
pub struct CheckpointArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Check the audit log, sign its checkpoint and print it; exit with 1 if the audit log was changed
    Sign(Box<SignArgs>),
    /// Accept the current content of the database as the new basis for signing, after a refusal or an intended restore
    Reset(ResetArgs),
}

#[derive(Args)]
struct SignArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    signing: SigningArgs,
}

#[derive(Args)]
struct ResetArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Folder in which the signer stores the last checkpoint
    #[arg(long, env = "AUDIT_SIGNING_STATE", value_name = "DIR")]
    signing_state: PathBuf,
    /// Reason; it is recorded in the audit log
    #[arg(long)]
    reason: String,
}

/// Signs or resets.
///
/// # Errors
/// Fails if the configuration is not valid, or if the database cannot be reached or refuses the request.
pub async fn run(args: CheckpointArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Sign(args) => sign(*args).await,
        Action::Reset(args) => reset(args).await,
    }
}

async fn sign(args: SignArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&args.signing)?.context("no signing key is configured. Use --signing-key")?;
    match Signer::new(settings, Database::new(&args.database)?).round().await.map_err(plain)? {
        Round::Nothing => note!("There is nothing to sign: no event is sealed yet."),
        Round::Elsewhere(holder) => bail!("{holder} has the turn to sign. Try again"),
        Round::Signed(signed) => {
            for problem in &signed.problems {
                note!("audit-sidecar: {}", printable(problem));
            }
            output::write(format_args!("{}", signed.note));
        }
        Round::Refused(refusals) => {
            for refusal in &refusals {
                note!("REFUSED  {}", printable(&refusal.message));
            }
            bail!(
                "the audit log was changed after the last checkpoint was signed. Find the cause, then run audit-sidecar checkpoint reset; until then, nothing is signed"
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn reset(args: ResetArgs) -> anyhow::Result<ExitCode> {
    if args.reason.trim().is_empty() {
        bail!("--reason is empty. Give the reason, which is recorded in the audit log");
    }
    let client = connect(&args.database).await?;
    checkpoint::reset(args.signing_state, &client, &actor(), &args.reason).await.map_err(plain)?;
    say!(
        "The next checkpoint is signed without a comparison with earlier ones. If a witness refuses to cosign it, the log needs a new name and key."
    );
    Ok(ExitCode::SUCCESS)
}

fn plain(error: Error) -> anyhow::Error {
    match error {
        Error::Database(error) => explain(error),
        other => other.into(),
    }
}
