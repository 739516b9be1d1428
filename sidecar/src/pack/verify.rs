//! Whether a pack is what it says, checked offline: the files against the manifest, the events against the log, the log
//! against the signed checkpoint. What that means in detail is in FORMAT.md of `audit_proof`.

use std::fs::File;
use std::io;
use std::path::Path;

use audit_proof::checkpoint::{Checkpoint, Key, Kind};
use audit_proof::pack::{Check, Log, Problem, Problems, Scope, Verdict, Why};

mod claim;
mod content;
mod directory;
mod report;

pub use report::{Report, Signature};

use claim::Claimed;
use content::Contents;
use directory::Directory;

/// Whom the reader of a pack trusts.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Keys of the log: one of them must have signed. With none, the key that the pack names is taken.
    pub keys: Vec<Key>,
    /// Keys of witnesses: all of them must have cosigned.
    pub witnesses: Vec<Key>,
}

/// How far the check is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes of content read.
    pub bytes: u64,
    /// Bytes of content that there are.
    pub of: u64,
}

/// Why a file could not be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not a zip.
    #[error("not a zip file: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// It is a zip without a manifest of a pack.
    #[error("not an evidence pack: {0}")]
    NotAPack(String),
}

/// What is wrong with a pack.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// About the files.
    pub files: Vec<String>,
    /// About the proof.
    pub problems: Problems,
}

/// Checks the pack in a file.
///
/// # Errors
/// [`Unreadable`] where it is no pack. What is wrong with a pack stands in the report.
pub fn verify(path: &Path, trust: &Trust, mut progress: impl FnMut(Progress)) -> Result<Report, Unreadable> {
    let mut findings = Findings::default();
    let directory = Directory::read(File::open(path)?, &mut findings.files)?;
    let (claimed, mut contents) = Contents::open(directory, &mut findings.files)?;
    contents.on_progress(&mut progress);

    let proof = read_proof(&mut contents, &mut findings);
    let (signature, witnesses) = match &proof {
        Some((_, checkpoint)) => signatures(checkpoint, &claimed, trust, &mut findings.problems),
        None => (None, Vec::new()),
    };
    let has_prefixes = contents.lists(PREFIXES);
    let prefixes = has_prefixes.then(|| contents.small(PREFIXES, &mut findings.files)).flatten().unwrap_or_default();
    let expected = contents.most_lines();
    let includes = |action: &str, category: &str, outcome: &str| claimed.includes(action, category, outcome);
    let scope = Scope {
        workspace: &claimed.workspace,
        since: claimed.since.micros(),
        until: claimed.until.micros(),
        includes: &includes,
        filtered: !claimed.filters.is_empty(),
    };
    let has_proof = proof.is_some();
    let mut check = Check::new(scope, proof.as_ref().map(|(log, checkpoint)| (log.clone(), checkpoint)), expected);
    contents.lines(EVENTS, &mut findings.files, |number, line| check.event(number, line));
    if has_proof {
        contents.lines(STUBS, &mut findings.files, |number, line| check.stub(number, line));
        contents.lines(REMOVED, &mut findings.files, |number, line| check.removed(number, line));
    }
    contents.rest(&mut findings.files);
    let verdict = check.finish(&prefixes).map_err(|problems| {
        problems.first().iter().for_each(|problem| findings.problems.push(problem.clone()));
        for _ in problems.first().len() as u64..problems.count() {
            findings.problems.push(Problem::of_pack(Why::Missing));
        }
    });
    contents.name_events(findings.problems.first_mut());
    let counted = verdict.as_ref().map_or(claimed.events, |verdict: &Verdict| verdict.shown + verdict.newer);
    if counted != claimed.events {
        findings.files.push(format!("manifest.json counts {} events, events.json holds {counted}", claimed.events));
    }
    Ok(Report { claimed, verdict: verdict.ok(), findings, signature, witnesses })
}

fn read_proof(contents: &mut Contents<'_>, findings: &mut Findings) -> Option<(Log, Checkpoint)> {
    if !contents.has_proof() {
        return None;
    }
    let log = contents.small(LOG, &mut findings.files)?;
    let note = contents.small(CHECKPOINT, &mut findings.files)?;
    let log = Log::parse(&log).map_err(|error| findings.files.push(format!("{LOG}: {error}"))).ok()?;
    let problems = &mut findings.problems;
    let checkpoint =
        Checkpoint::parse(&note).map_err(|error| problems.push(Problem::of_pack(Why::Checkpoint(error)))).ok()?;
    Some((log, checkpoint))
}

/// Whose signature holds; and the witnesses whose do, of those that are trusted.
fn signatures(
    checkpoint: &Checkpoint,
    claimed: &Claimed,
    trust: &Trust,
    problems: &mut Problems,
) -> (Option<Signature>, Vec<Signature>) {
    let mut wrong = |error| problems.push(Problem::of_pack(Why::Checkpoint(error)));
    let from_pack = trust.keys.is_empty();
    let own = || claimed.key.as_deref().map(Key::parse);
    let keys: Vec<Key> = if from_pack {
        own().and_then(|key| key.map_err(&mut wrong).ok()).into_iter().collect()
    } else {
        trust.keys.clone()
    };
    let mut signature = None;
    let mut failed = None;
    for key in keys.iter().filter(|key| key.kind() == Kind::Log) {
        match checkpoint.verify(key) {
            Ok(_) => signature = signature.or(Some(Signature { key: key.to_string(), at: None, from_pack })),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if signature.is_none() {
        wrong(failed.unwrap_or(audit_proof::checkpoint::Error::Unsigned { key: "any key of the log".to_owned() }));
    }
    let mut witnesses = Vec::new();
    for key in &trust.witnesses {
        match checkpoint.verify(key) {
            Ok(signed) => witnesses.push(Signature { key: key.to_string(), at: signed.at, from_pack: false }),
            Err(error) => wrong(error),
        }
    }
    (signature, witnesses)
}

/// The files of a pack that are looked into.
const MANIFEST: &str = "manifest.json";
const EVENTS: &str = "events.json";
const LOG: &str = "proof/log.json";
const CHECKPOINT: &str = "proof/checkpoint.txt";
const STUBS: &str = "proof/stubs.json";
const REMOVED: &str = "proof/removed.json";
const PREFIXES: &str = "proof/prefixes.bin";
