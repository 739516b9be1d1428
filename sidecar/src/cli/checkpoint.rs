//! `audit-sidecar checkpoint`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::checkpoint::{self, Error, Round, Settings, Signer};
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
    /// Check the log, sign its checkpoint and print it; exit status 1 where the log is not what it was
    Sign(Box<SignArgs>),
    /// Make signing go on from what is in the database now, after a refusal or a restore that was meant to be
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
    /// Folder where the last signed checkpoint is remembered
    #[arg(long, env = "AUDIT_SIGNING_STATE", value_name = "DIR")]
    signing_state: PathBuf,
    /// Why; it stands in the log
    #[arg(long)]
    reason: String,
}

/// Signs or resets.
///
/// # Errors
/// Where the configuration cannot be used, or the database cannot be reached or refuses.
pub async fn run(args: CheckpointArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Sign(args) => sign(*args).await,
        Action::Reset(args) => reset(args).await,
    }
}

async fn sign(args: SignArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&args.signing)?.context("no key is given: use --signing-key")?;
    match Signer::new(settings, Database::new(&args.database)?).round().await.map_err(plain)? {
        Round::Nothing => eprintln!("Nothing was sealed yet: there is no log to sign."),
        Round::Elsewhere => bail!("another sidecar signs at this moment: try again"),
        Round::Signed(signed) => {
            for problem in &signed.problems {
                eprintln!("audit-sidecar: {}", printable(problem));
            }
            print!("{}", signed.note);
        }
        Round::Refused(refusals) => {
            for refusal in &refusals {
                eprintln!("REFUSED  {}", printable(&refusal.message));
            }
            bail!(
                "the log is not what it was when the last checkpoint was signed: nothing is signed until checkpoint reset"
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn reset(args: ResetArgs) -> anyhow::Result<ExitCode> {
    if args.reason.trim().is_empty() {
        bail!("--reason is empty: say why, for those who read the log");
    }
    let client = connect(&args.database).await?;
    checkpoint::reset(args.signing_state, &client, &actor(), &args.reason).await.map_err(plain)?;
    println!(
        "The next checkpoint is signed whatever was signed before. Witnesses do not forget: where they refuse, the log needs a new name."
    );
    Ok(ExitCode::SUCCESS)
}

fn plain(error: Error) -> anyhow::Error {
    match error {
        Error::Database(error) => explain(error),
        other => other.into(),
    }
}
