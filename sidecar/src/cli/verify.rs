//! `audit-sidecar verify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use audit_proof::checkpoint::{Error, Key, Kind};
use audit_proof::pack::Limit;
use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::json;

use crate::cli::interactive::bytes_bar;
use crate::cli::known_keys;
use crate::cli::output::{note, say};
use crate::config;
use crate::pack::verify::{Progress, Report, Status, Trust, verify};
use crate::text::{printable, quoted};

/// Arguments of `verify`.
#[derive(Args)]
pub struct VerifyArgs {
    /// The packs: zip files, or folders with an unpacked pack
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Key that the log signs its checkpoints with, as `key show` prints it, or a file that holds it. You can repeat
    /// this option, for example after a change of keys. By default, the key that the pack names is used
    #[arg(long, value_name = "VKEY|FILE")]
    key: Vec<String>,
    /// Trust the key that you stored under this name with `key trust`. You can repeat this option
    #[arg(long, value_name = "NAME")]
    trust: Vec<String>,
    /// Key of a witness that must have cosigned, or a file that holds it. You can repeat this option
    #[arg(long, value_name = "VKEY|FILE")]
    witness: Vec<String>,
    /// Fail unless the pack has this status
    #[arg(long, value_name = "STATUS")]
    require: Option<Require>,
    /// Accept removed events, even if nothing proves that they were due
    #[arg(long)]
    allow_removed: bool,
    /// Accept a proof that ends before the period does
    #[arg(long)]
    allow_early_end: bool,
    /// Accept a pack without a proof
    #[arg(long)]
    unsigned: bool,
    /// End if the check needs more memory than this, such as 1GiB. A pack that was made to do harm can need hundreds of
    /// times its size
    #[arg(long, value_name = "SIZE", value_parser = config::bytes)]
    max_memory: Option<usize>,
    /// Print each report as a JSON object on a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Require {
    /// The pack proves that no event is missing
    Complete,
}

/// Exit statuses, the most serious first.
const UNREADABLE: u8 = 2;
const REJECTED: u8 = 1;
const KEY_NOT_CONFIRMED: u8 = 3;
const HOLDS: u8 = 0;

/// Verifies packs offline. The exit status is 0 if all hold, 1 if one does not, 2 if one cannot be checked, and 3 if all
/// hold, but a key is known only from its pack.
///
/// # Errors
/// Never fails: an error becomes an exit status.
pub fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let limits = || limit_memory(args.max_memory);
    let trust = match refuse_names_like_options().and_then(|()| limits()).and_then(|()| trust(&args)) {
        Ok(trust) => trust,
        Err(error) => {
            note!("audit-sidecar: {error:#}");
            return Ok(ExitCode::from(UNREADABLE));
        }
    };
    let mut statuses = Vec::new();
    for (at, file) in args.files.iter().enumerate() {
        if at > 0 && !args.json {
            say!();
        }
        statuses.push(check(&args, file, &trust));
    }
    let order = [UNREADABLE, REJECTED, KEY_NOT_CONFIRMED];
    let worst = order.into_iter().find(|status| statuses.contains(status)).unwrap_or(HOLDS);
    Ok(ExitCode::from(worst))
}

/// Verifies a pack and prints the report. Returns the exit status.
fn check(args: &VerifyArgs, file: &Path, trust: &Trust) -> u8 {
    let name = file.to_string_lossy();
    let bar = bytes_bar();
    let shown = bar.clone();
    let report = verify(file, trust, move |Progress { bytes, of }| {
        shown.set_length(of);
        shown.set_position(bytes);
    });
    bar.finish_and_clear();
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            if args.json {
                say!(
                    "{}",
                    json!({ "file": name, "result": null, "error": error.to_string(), "exit_status": UNREADABLE })
                );
            }
            note!("audit-sidecar: {} cannot be checked: {}", quoted(&name), printable(&error.to_string()));
            return UNREADABLE;
        }
    };
    let status = exit_status(args, &report);
    if args.json {
        let mut object = report.to_json();
        object["file"] = name.into();
        object["exit_status"] = status.into();
        say!("{object}");
    } else {
        if args.files.len() > 1 {
            say!("{}", quoted(&name));
        }
        say!("{report}");
    }
    status
}

fn exit_status(args: &VerifyArgs, report: &Report) -> u8 {
    let is_allowed = |limit: &Limit| match limit {
        Limit::Filters => args.require.is_none(),
        Limit::End => args.allow_early_end,
        Limit::Removed => args.allow_removed,
    };
    match report.status() {
        Status::Unproven if args.unsigned && args.require.is_none() => HOLDS,
        Status::Complete | Status::Partial if report.limits().iter().all(is_allowed) => {
            if report.is_key_confirmed() {
                HOLDS
            } else {
                KEY_NOT_CONFIRMED
            }
        }
        _ => REJECTED,
    }
}

/// Refuses an option that is also the name of a file. A pattern such as `*` would turn a file of the sender into an option.
fn refuse_names_like_options() -> anyhow::Result<()> {
    let options = std::env::args_os().skip(1).filter(|argument| argument.as_encoded_bytes().starts_with(b"-"));
    match options.into_iter().find(|option| Path::new(option).symlink_metadata().is_ok()) {
        Some(name) => bail!(
            "there is a file with the name of an option, {}. Remove it, or write ./ in front of the names of files",
            quoted(&name.to_string_lossy())
        ),
        None => Ok(()),
    }
}

/// Limits the memory of this process. The operating system ends it if it needs more.
fn limit_memory(most: Option<usize>) -> anyhow::Result<()> {
    let Some(most) = most else { return Ok(()) };
    let most = Some(most as u64);
    setrlimit(Resource::As, Rlimit { current: most, maximum: most }).context("cannot limit the memory of this process")
}

fn trust(args: &VerifyArgs) -> anyhow::Result<Trust> {
    let known = known_keys::read()?;
    let mut keys = keys(&args.key)?;
    for name in &args.trust {
        let before = keys.len();
        keys.extend(known.iter().filter(|(other, _)| other == name).map(|(_, key)| key.clone()));
        if keys.len() == before {
            bail!("no key is stored as \"{name}\". Store it with audit-sidecar key trust {name} KEY");
        }
    }
    let witnesses = self::keys(&args.witness)?;
    for (keys, kind, option) in [(&keys, Kind::Log, "--key"), (&witnesses, Kind::Witness, "--witness")] {
        if let Some(other) = keys.iter().find(|key| key.kind() != kind) {
            bail!(
                "{option} is of the wrong kind: {other}. Give keys of the log with --key, and of witnesses with --witness"
            );
        }
    }
    Ok(Trust { keys, known, witnesses })
}

fn keys(given: &[String]) -> anyhow::Result<Vec<Key>> {
    given.iter().map(|text| key(text)).collect()
}

/// Parses a key, or reads it from a file.
///
/// # Errors
/// Fails if the text is neither.
pub(super) fn key(text: &str) -> anyhow::Result<Key> {
    // A key has two plus signs, so it is not the name of a file. Other text may be one.
    match Key::parse(text) {
        Ok(key) => Ok(key),
        Err(_) if Path::new(text).is_file() => {
            let content = std::fs::read_to_string(text).with_context(|| format!("cannot read {text}"))?;
            Ok(Key::parse(content.trim()).with_context(|| text.to_owned())?)
        }
        Err(Error::Key { text }) if text.matches('+').count() < 2 => {
            bail!("\"{text}\" is neither a verifier key nor a file that exists")
        }
        Err(error) => Err(error.into()),
    }
}
