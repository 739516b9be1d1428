//! `audit-sidecar key`.

use std::path::PathBuf;
use std::process::ExitCode;

use audit_proof::checkpoint::Kind;
use clap::{Args, Subcommand};

use crate::checkpoint::key::PrivateKey;

/// Arguments of `key`.
#[derive(Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make an Ed25519 key; prints its public key, which those need who verify
    Create {
        /// Name of the log or of the witness, by convention a URL without its scheme: audit.example.com/log
        #[arg(long)]
        name: String,
        /// For a witness, which cosigns the checkpoints of others
        #[arg(long)]
        witness: bool,
        /// Write the private key to this new file; without it, it goes to standard output and the public key to standard error
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the public key of a key file
    Show {
        /// The key file
        file: PathBuf,
    },
}

/// Creates or shows.
///
/// # Errors
/// Where the name is none, or the file cannot be written or read.
pub fn run(args: KeyArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Create { name, witness, output } => {
            let key = PrivateKey::generate(&name, if witness { Kind::Witness } else { Kind::Log })?;
            match output {
                Some(path) => {
                    key.write_new(&path)?;
                    eprintln!(
                        "{} holds the private key. Keep a copy where the database's administrators cannot reach it. Its public key:",
                        path.display()
                    );
                    println!("{}", key.vkey());
                }
                None => {
                    eprintln!("The public key is {}, the private one:", key.vkey());
                    println!("{}", key.reveal());
                }
            }
        }
        Action::Show { file } => println!("{}", PrivateKey::read(&file)?.vkey()),
    }
    Ok(ExitCode::SUCCESS)
}
