//! Offline verification of a pack: the files against the manifest, the tables and the README against the events, the events
//! against the workspace log, and the workspace log against the signed checkpoint. "Checking a pack" in FORMAT.md of
//! `audit_proof` has the rules.

use std::path::Path;

use audit_proof::checkpoint::{self, Checkpoint, Key, Kind};
use audit_proof::pack::{Check, Claim, Fault, Log, Problem, Problems, Scope, Why};

mod contents;
mod directory;
mod inflate;
mod json;
mod package;
mod report;
mod selection;
mod tables;
mod text;
mod unreadable;

pub use contents::{Progress, each_event};
pub use report::{KeySource, Report, Signature, Status, WitnessSignature};
pub use unreadable::Unreadable;

use self::contents::Contents;
use self::package::Package;
use self::selection::Selection;
use self::tables::Tables;
use super::definition::Definition;
use super::definitions::Definitions;
use super::file_name::{CHECKPOINT, EVENTS, LOG, PREFIXES, README, REMOVALS, REMOVED, STUBS, files_of};
use super::manifest::Manifest;
use super::readme;
use crate::time::Time;

/// The keys that the reader of a pack trusts.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Keys of the log, one of which must have signed. If there are none, the key that the pack names is used.
    pub keys: Vec<Key>,
    /// Keys that the reader knows by name. They confirm the key that the pack names.
    pub known: Vec<(String, Key)>,
    /// Keys of witnesses, all of which must have cosigned.
    pub witnesses: Vec<Key>,
}

/// Verifies the pack in a file, or an unpacked pack in a folder.
///
/// # Errors
/// Fails with [`Unreadable`] if there is no pack that can be checked. Defects of a pack are in the report.
pub fn verify(path: &Path, trust: &Trust, mut progress: impl FnMut(Progress)) -> Result<Report, Unreadable> {
    let has_given_keys = !trust.keys.is_empty() || !trust.witnesses.is_empty();
    let mut report = Report { has_given_keys, ..Report::default() };
    let mut package = match Package::open(path) {
        Ok(package) => package,
        Err(Unreadable::Malformed(reason)) => {
            report.problems.push(Problem::of_pack(Why::Other(Fault::Zip, reason)));
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let Some(manifest) = contents::read_manifest(&mut package, &mut report.problems)? else { return Ok(report) };
    report.is_built_in = check_definition(&manifest, &mut report.problems);
    let mut contents = Contents::new(package, &manifest, &mut report.problems, &mut progress);
    check_readme(&manifest, &mut contents, &mut report.problems);
    check_events(&manifest, &mut contents, trust, &mut report);
    contents.name_events(&mut report.problems);
    report.manifest = Some(manifest);
    Ok(report)
}

/// Compares the definition with the built-in one of its name. Returns whether there is one.
fn check_definition(manifest: &Manifest, problems: &mut Problems) -> bool {
    let mut wrong = |text: &str| problems.push(Problem::of_pack(Why::Other(Fault::Definition, text.to_owned())));
    let definition = &manifest.definition;
    if !definition.filters && !manifest.filters.is_empty() {
        wrong("filters narrowed the pack, but its definition does not allow filters");
    }
    let Ok(definitions) = Definitions::built_in() else { return false };
    let Some(built_in) = definitions.find(definition.name.as_str()) else { return false };
    let tags = definition.tags.clone();
    if built_in.version != definition.version {
        wrong("this program does not know this version of the built-in pack. A newer program may know it");
    } else if (Definition { tags, ..(**built_in).clone() }) != *definition {
        wrong("the pack has the name of a built-in one, but another title, text, rule or column");
    } else if !definition.tags.extends(&built_in.tags, definitions.tags()) {
        wrong("a tag of the built-in pack lacks a built-in action, or has one that belongs to other tags");
    }
    true
}

fn check_readme(manifest: &Manifest, contents: &mut Contents<'_>, problems: &mut Problems) {
    let Some(found) = contents.small(README, problems) else { return };
    if found != readme::text(manifest).as_bytes() {
        let text = "it differs from the text that follows from manifest.json. Do not rely on it".to_owned();
        problems.push(Problem::of_pack(Why::Other(Fault::Readme, text)));
    }
}

/// Checks the events, the tables and the proof.
fn check_events(manifest: &Manifest, contents: &mut Contents<'_>, trust: &Trust, report: &mut Report) {
    let problems = &mut report.problems;
    let proof = manifest.proof.and_then(|_| read_proof(contents, problems));
    if let Some((_, checkpoint)) = &proof {
        report.signature = find_signature(checkpoint, manifest, trust, problems);
        report.witnesses = find_witnesses(checkpoint, trust, problems);
    }
    let has_prefixes = files_of(manifest.proof).contains(&PREFIXES);
    let prefixes = if has_prefixes { contents.small(PREFIXES, problems) } else { Some(Vec::new()) };
    let selection = Selection::new(&manifest.definition);
    let includes = |action: &str, category: &str, outcome: &str| selection.includes(action, category, outcome);
    let claim = manifest.proof;
    if claim.is_some_and(|claim| (claim == Claim::Complete) != manifest.filters.is_empty()) {
        problems.push(Problem::of_pack(Why::Log("a pack is complete if no filter narrowed it, and only then")));
    }
    let scope = Scope {
        workspace: &manifest.workspace,
        since: manifest.period.since.micros(),
        until: manifest.period.until.micros(),
        includes: &includes,
        claim,
    };
    let most_lines = contents.most_lines();
    let mut check = Check::new(scope, proof.as_ref().map(|(log, checkpoint)| (log.clone(), checkpoint)), most_lines);
    let mut tables = Tables::new(manifest);
    let mut is_whole = true;
    if proof.is_some() {
        is_whole &= contents.lines(REMOVED, problems, |number, line| check.removed(number, line));
        check.end_removed();
    }
    let mut has_tables = contents.lines(EVENTS, problems, |number, line| match check.event(number, line) {
        Some(line) => tables.add(&line),
        None => is_whole = false,
    });
    has_tables &= is_whole;
    if proof.is_some() {
        is_whole &= contents.lines(STUBS, problems, |number, line| check.stub(number, line));
        is_whole &= contents.lines(REMOVALS, problems, |number, line| check.removal(number, line));
    }
    contents.rest(problems);
    // Without some of the files or events, the tables and the proof would differ for that reason alone.
    if has_tables && !problems.has(Fault::Files) && !problems.has(Fault::Zip) {
        tables.compare(manifest, problems);
    }
    let is_missing_proof = claim.is_some() && proof.is_none();
    match check.finish(prefixes.as_deref().filter(|_| is_whole && has_tables)) {
        Ok(verdict) => report.verdict = Some(verdict).filter(|_| !is_missing_proof),
        Err(more) => problems.append(more),
    }
}

fn read_proof(contents: &mut Contents<'_>, problems: &mut Problems) -> Option<(Log, Checkpoint)> {
    let log = contents.small(LOG, problems);
    let note = contents.small(CHECKPOINT, problems);
    let mut wrong = |why| problems.push(Problem::of_pack(why));
    let log = Log::parse(&log?).map_err(|error| wrong(Why::Other(Fault::Log, error.to_string()))).ok();
    let checkpoint = Checkpoint::parse(&note?).map_err(|error| wrong(Why::Checkpoint(error))).ok();
    log.zip(checkpoint)
}

/// Returns the valid signature of a trusted key, or of the key that the pack names if none is given.
fn find_signature(
    checkpoint: &Checkpoint,
    manifest: &Manifest,
    trust: &Trust,
    problems: &mut Problems,
) -> Option<Signature> {
    let mut wrong = |error| problems.push(Problem::of_pack(Why::Checkpoint(error)));
    let unsigned = || checkpoint::Error::Unsigned { key: "any key of the log".to_owned() };
    let keys = match (&manifest.key, trust.keys.as_slice()) {
        (_, [_, ..]) => trust.keys.clone(),
        (Some(own), []) => vec![Key::parse(own).map_err(&mut wrong).ok()?],
        (None, []) => Vec::new(),
    };
    let mut failed = None;
    for key in keys.into_iter().filter(|key| key.kind() == Kind::Log) {
        match checkpoint.verify(&key) {
            Ok(_) => {
                let known = trust.known.iter().find(|(_, known)| known.encoded() == key.encoded());
                let source = match known {
                    _ if !trust.keys.is_empty() => KeySource::Given,
                    Some((name, _)) => KeySource::Known(name.clone()),
                    None => KeySource::Pack,
                };
                return Some(Signature { key: key.encoded(), source });
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    wrong(failed.unwrap_or_else(unsigned));
    None
}

/// Returns the cosignatures of the trusted witnesses.
fn find_witnesses(checkpoint: &Checkpoint, trust: &Trust, problems: &mut Problems) -> Vec<WitnessSignature> {
    let mut found = Vec::new();
    for key in &trust.witnesses {
        match checkpoint.verify(key) {
            Ok(signed) => {
                let at = signed
                    .at
                    .and_then(|seconds| Time::from_micros(i64::try_from(seconds).ok()?.checked_mul(1_000_000)?));
                found.push(WitnessSignature { key: key.encoded(), at });
            }
            Err(error) => problems.push(Problem::of_pack(Why::Checkpoint(error))),
        }
    }
    found
}
