//! Offline verification of a pack: the files against the manifest, the events against the workspace log, and the
//! workspace log against the signed checkpoint. FORMAT.md of `audit_proof` has the details.

use std::fs::File;
use std::path::Path;

use audit_proof::checkpoint::{Checkpoint, Key, Kind};
use audit_proof::pack::{Check, Log, Problem, Problems, Scope, Verdict, Why};

mod claim;
mod content;
mod directory;
mod inflate;
mod report;
mod unreadable;

pub use content::Progress;
pub use report::{Findings, Report, Signature};
pub use unreadable::Unreadable;

use self::claim::Claimed;
use self::content::Contents;
use self::directory::Directory;
use crate::pack::file_name::{CHECKPOINT, EVENTS, LOG, PREFIXES, REMOVED, STUBS};

/// The keys that the reader of a pack trusts.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Keys of the log, one of which must have signed. If there are none, the key that the pack names is used.
    pub keys: Vec<Key>,
    /// Keys of witnesses, all of which must have cosigned.
    pub witnesses: Vec<Key>,
}

/// Verifies the pack in a file.
///
/// # Errors
/// Fails with [`Unreadable`] if the file is not a pack, or if its files are ambiguous. Other defects are in the report.
pub fn verify(path: &Path, trust: &Trust, mut progress: impl FnMut(Progress)) -> Result<Report, Unreadable> {
    let mut findings = Findings::default();
    let directory = Directory::read(File::open(path)?)?;
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
        findings.files.push(format!("manifest.json counts {} events, but events.json holds {counted}", claimed.events));
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

/// Returns the valid signature of the log, and the valid signatures of trusted witnesses.
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
