//! `audit-sidecar key`.

use std::path::PathBuf;
use std::process::ExitCode;

use audit_proof::checkpoint::Kind;
use clap::{Args, Subcommand};

use crate::checkpoint::key::PrivateKey;
use crate::cli::output::{note, say};
use crate::cli::{known_keys, verify};

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
    /// Store a public key under a name, so that `verify` knows it
    Trust {
        /// Name for the key, for example that of the company
        name: String,
        /// The public key of the log, or a file that holds it
        #[arg(value_name = "VKEY|FILE")]
        key: String,
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
                    note!(
                        "The private key is in {}. Keep a copy out of reach of the administrators of the database. The public key is:",
                        path.display()
                    );
                    say!("{}", key.vkey());
                }
                None => {
                    note!("The public key is {}. The private key is:", key.vkey());
                    say!("{}", key.reveal());
                }
            }
        }
        Action::Trust { name, key } => {
            let (path, others) = known_keys::add(&name, &verify::key(&key)?)?;
            note!("The key is stored in {}.", path.display());
            if others > 0 {
                note!("There are now several keys with this name. Remove those that are not valid any more.");
            }
        }
        Action::Show { file } => say!("{}", PrivateKey::read(&file)?.vkey()),
    }
    Ok(ExitCode::SUCCESS)
}
