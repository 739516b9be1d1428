//! `audit-sidecar verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use audit_proof::checkpoint::Key;
use clap::Args;
use serde_json::json;

use crate::cli::interactive::bytes_bar;
use crate::pack::verify::{Progress, Trust, Unreadable, verify};
use crate::text::printable;

/// Arguments of `verify`.
#[derive(Args)]
pub struct VerifyArgs {
    /// The file of the pack
    file: PathBuf,
    /// Key that the log signs its checkpoints with, as `key show` prints it, or a file that holds it. You can repeat
    /// this option, for example after a change of keys. By default, the key that the pack names is used
    #[arg(long, value_name = "VKEY|FILE")]
    key: Vec<String>,
    /// Key of a witness that must have cosigned, or a file that holds it. You can repeat this option
    #[arg(long, value_name = "VKEY|FILE")]
    witness: Vec<String>,
    /// Also exit with 0 if the pack has no proof
    #[arg(long)]
    unsigned: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Verifies a pack offline. The exit status is 0 if it is valid, 1 if it is not, and 2 if it cannot be checked.
///
/// # Errors
/// Never fails: an error becomes an exit status.
pub fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    match check(&args) {
        Ok(code) => Ok(code),
        Err(error) => {
            eprintln!("audit-sidecar: {error:#}");
            Ok(ExitCode::from(2))
        }
    }
}

fn check(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let trust = Trust { keys: keys(&args.key)?, witnesses: keys(&args.witness)? };
    let bar = bytes_bar();
    let shown = bar.clone();
    let report = verify(&args.file, &trust, move |Progress { bytes, of }| {
        shown.set_length(of);
        shown.set_position(bytes);
    });
    bar.finish_and_clear();
    if let Err(malformed @ Unreadable::Malformed(_)) = &report {
        let malformed = printable(&malformed.to_string());
        if args.json {
            println!("{:#}", json!({ "result": "invalid", "files": [malformed], "problems": [], "problem_count": 0 }));
        } else {
            println!("INVALID  {}: {malformed}", args.file.display());
        }
        return Ok(ExitCode::FAILURE);
    }
    let report = report.with_context(|| format!("{} cannot be checked", args.file.display()))?;
    if args.json {
        println!("{:#}", report.to_json());
    } else {
        println!("{report}");
    }
    let holds = report.is_proven() || (args.unsigned && report.is_valid());
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn keys(given: &[String]) -> anyhow::Result<Vec<Key>> {
    given.iter().map(|text| key(text)).collect()
}

fn key(text: &str) -> anyhow::Result<Key> {
    // A key has two plus signs, so it is not the name of a file. Other text may be one.
    match Key::parse(text) {
        Ok(key) => Ok(key),
        Err(_) if std::path::Path::new(text).is_file() => {
            let content = std::fs::read_to_string(text).with_context(|| format!("cannot read {text}"))?;
            Ok(Key::parse(content.trim()).with_context(|| text.to_owned())?)
        }
        Err(error) => Err(error.into()),
    }
}
