//! `audit-sidecar verify` on the packs among the vectors of FORMAT.md, whole, unpacked and damaged.

mod command;
mod vectors;

use std::fs;
use std::path::Path;

use audit_proof::checkpoint::{Key, Kind};
use audit_sidecar::pack::verify::{Status, Trust, Unreadable, verify};
use serde_json::{Value, json};

use crate::vectors::{Pack, find, log_key, packs, stranger_key, trust, unpack, witness_key};

/// Returns how a report differs from the vector of the pack.
fn difference(pack: &Pack, report: &Value) -> Option<String> {
    let differs = |key: &str, found: Value, expected: Value| {
        (found != expected).then(|| format!("{}: {key} is {found}, but must be {expected}: {report}", pack.name))
    };
    let [found, expected] = [&report["result"], &pack.expected["result"]];
    if found != expected {
        return differs("result", found.clone(), expected.clone());
    }
    if found == "INVALID" {
        let kinds = report["problems"].as_array().unwrap().iter().map(|group| group["kind"].clone());
        return differs("kind", kinds.collect(), json!([pack.expected["kind"]]));
    }
    let figures = pack.expected.as_object().unwrap().iter().filter(|(key, _)| !NO_FIGURES.contains(&key.as_str()));
    figures.into_iter().find_map(|(key, expected)| differs(key, report[key].clone(), expected.clone()))
}

/// The keys of a vector that are not in the report.
const NO_FIGURES: [&str; 4] = ["name", "file", "about", "kind"];

/// Returns how the result of the verification differs from the vector.
fn wrong(pack: &Pack, path: &Path) -> Option<String> {
    match verify(path, &trust(), |_| ()) {
        Ok(report) => difference(pack, &report.to_json()),
        Err(Unreadable::NotAZip | Unreadable::NotAPack(_)) if pack.expected["result"].is_null() => None,
        Err(error) => Some(format!("{}: {error}", pack.name)),
    }
}

#[test]
fn every_pack_of_the_vectors_has_its_result() {
    let packs = packs();
    assert!(packs.len() > 100);
    let wrong: Vec<String> = packs.iter().filter_map(|pack| wrong(pack, &pack.path)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_unpacked_pack_has_the_same_result() {
    // Faults of the zip itself are gone.
    let packs = packs().into_iter().filter(|pack| pack.expected["kind"] != "zip");
    let wrong = packs.filter_map(|pack| wrong(&pack, unpack(&pack)?.path()));
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_folder_has_no_other_files_and_no_links() {
    let pack = find("access-review");
    let kinds = |change: &dyn Fn(&Path)| {
        let folder = unpack(&pack).unwrap();
        change(folder.path());
        let report = verify(folder.path(), &trust(), |_| ()).unwrap();
        report.problems.groups().map(|(fault, _)| fault.as_str()).collect::<Vec<_>>()
    };
    assert!(kinds(&|_| ()).is_empty());
    assert_eq!(kinds(&|folder| fs::write(folder.join("more.txt"), "x").unwrap()), ["files"]);
    assert_eq!(kinds(&|folder| fs::create_dir_all(folder.join("proof/more/deep")).unwrap()), ["files"]);
    let link = |folder: &Path| {
        let outside = folder.join("proof/stubs.json");
        let elsewhere = tempfile::tempdir().unwrap().keep().join("stubs.json");
        fs::rename(&outside, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &outside).unwrap();
    };
    assert!(kinds(&link).contains(&"files"));
}

#[test]
fn keys_and_witnesses_decide() {
    let pack = find("access-review");
    let status = |keys: Vec<Key>, witnesses: Vec<Key>| {
        let report = verify(&pack.path, &Trust { keys, known: Vec::new(), witnesses }, |_| ()).unwrap();
        (report.status(), report.is_key_confirmed())
    };
    let [log, stranger, witness] = [log_key(), stranger_key(), witness_key()];
    let other_witness = Key::new("witness.example.org", Kind::Witness, &[0x20; 32]).unwrap();
    assert_eq!(status(vec![], vec![]), (Status::Complete, false));
    assert_eq!(status(vec![log.clone()], vec![witness.clone()]), (Status::Complete, true));
    assert_eq!(status(vec![stranger.clone(), log.clone()], vec![]), (Status::Complete, true));
    assert_eq!(status(vec![stranger], vec![]), (Status::Invalid, false));
    // The key of a witness does not replace that of the log.
    assert_eq!(status(vec![witness.clone()], vec![]), (Status::Invalid, false));
    assert_eq!(status(vec![log.clone()], vec![other_witness.clone()]), (Status::Invalid, true));
    assert_eq!(status(vec![log], vec![witness, other_witness]), (Status::Invalid, true));
}

#[test]
fn reports_are_the_agreed_ones() {
    for name in REPORTED {
        let report = verify(&find(name).path, &trust(), |_| ()).unwrap();
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("report_{name}"), report.to_string());
        });
    }
}

/// Packs whose reports are compared in full.
const REPORTED: [&str; 6] =
    ["access-review", "filters", "redacted-several", "removed-no-record", "unproven", "root-details"];

#[test]
fn no_changed_byte_goes_unnoticed() {
    for name in ["access-review", "removed-no-record"] {
        let good = fs::read(&find(name).path).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = |bytes: &[u8]| {
            fs::write(file.path(), bytes).unwrap();
            verify(file.path(), &trust(), |_| ())
        };
        let expected = check(&good).unwrap().to_string();
        // Some bytes do not affect the content: the times of the zip, and the signature that no key belongs to.
        for at in (0..good.len()).step_by(29) {
            let mut changed = good.clone();
            changed[at] ^= 0x55;
            if let Ok(report) = check(&changed) {
                assert!(report.status() == Status::Invalid || report.to_string() == expected, "byte {at}: {report}");
            }
        }
        for length in (0..good.len()).step_by(997) {
            assert!(
                check(&good[..length]).is_ok_and(|report| report.status() == Status::Invalid)
                    || check(&good[..length]).is_err()
            );
        }
    }
}

#[test]
fn other_files_cannot_be_checked() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for bytes in [&b""[..], &[b'x'; 1000]] {
        fs::write(file.path(), bytes).unwrap();
        assert!(matches!(verify(file.path(), &trust(), |_| ()), Err(Unreadable::NotAZip)));
    }
    assert!(matches!(verify(folder.path(), &trust(), |_| ()), Err(Unreadable::NotAPack(_))));
    assert!(matches!(verify(&folder.path().join("absent"), &trust(), |_| ()), Err(Unreadable::Io(_))));
}
