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
    /// Create an Ed25519 key; print its public key, which verifiers need
    Create {
        /// Name of the log or of the witness, by convention a URL without its scheme, such as audit.example.com/log
        #[arg(long)]
        name: String,
        /// Create a key for a witness, which cosigns the checkpoints of others
        #[arg(long)]
        witness: bool,
        /// Write the private key to this new file. By default, the private key goes to standard output and the public
        /// key to standard error
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the public key of a key file
    Show {
        /// The key file
        file: PathBuf,
    },
}

/// Creates or shows a key.
///
/// # Errors
/// Fails if the name is not valid, or if the file cannot be written or read.
pub fn run(args: KeyArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Create { name, witness, output } => {
            let key = PrivateKey::generate(&name, if witness { Kind::Witness } else { Kind::Log })?;
            match output {
                Some(path) => {
                    key.write_new(&path)?;
                    eprintln!(
                        "The private key is in {}. Keep a copy out of reach of the administrators of the database. The public key is:",
                        path.display()
                    );
                    println!("{}", key.vkey());
                }
                None => {
                    eprintln!("The public key is {}. The private key is:", key.vkey());
                    println!("{}", key.reveal());
                }
            }
        }
        Action::Show { file } => println!("{}", PrivateKey::read(&file)?.vkey()),
    }
    Ok(ExitCode::SUCCESS)
}
