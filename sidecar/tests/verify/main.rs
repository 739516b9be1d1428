//! `audit-sidecar verify`: good packs are valid, and every damage is detected.

mod forge;

use std::time::Instant;

use audit_proof::Line;
use audit_proof::checkpoint::{Key, text};
use audit_proof::head::Head;
use audit_proof::pack::Claim;
use audit_proof::tree::subset_proof;
use audit_sidecar::pack::verify::{Report, Trust, Unreadable, verify};
use serde_json::json;

use crate::forge::{BEFORE, Pack, Tree, UNTIL, event_line, heads_event, in_file, log_key, note, witness_key};

fn trust() -> Trust {
    Trust { keys: vec![log_key()], witnesses: Vec::new() }
}

fn check(zip: &[u8]) -> Report {
    let (_directory, path) = in_file(zip);
    verify(&path, &trust(), |_| ()).unwrap()
}

/// Asserts that the pack is invalid and that the report contains `expected`.
fn assert_invalid(zip: &[u8], expected: &str) {
    let report = check(zip);
    assert!(!report.is_valid(), "{report}");
    let text = report.to_string();
    assert!(text.starts_with("INVALID  acme access-review "), "{text}");
    assert!(text.contains(expected), "{text}\nthe report must contain: {expected}");
}

#[test]
fn a_good_pack_is_valid() {
    let pack = Pack::new(100, &[40, 41]);
    let report = check(&pack.zip());
    assert!(report.is_proven(), "{report}");
    assert_eq!(
        report.to_string(),
        format!(
            "VALID  acme access-review 2026-01-01..2026-04-01: 33 events, complete: 33 shown + 65 stubs + 2 removed = \
             leaves 5..104; nothing is known about removed events except their number; signed by {}",
            log_key()
        )
    );
    assert_eq!(report.to_json()["leaves"], json!([5, 105]));
}

#[test]
fn keys_and_witnesses() {
    let zip = Pack::new(7, &[]).zip();
    let (_directory, path) = in_file(&zip);
    let report = |keys: Vec<Key>, witnesses: Vec<Key>| verify(&path, &Trust { keys, witnesses }, |_| ()).unwrap();
    let own = report(vec![], vec![]);
    assert!(own.is_proven());
    assert!(own.to_string().contains("(the key is from the pack itself: compare it, or give --key)"), "{own}");
    assert!(report(vec![log_key()], vec![witness_key(2)]).to_string().ends_with(", 1 witness"));
    let other = Key::new(forge::ORIGIN, audit_proof::checkpoint::Kind::Log, &[0x20; 32]);
    let stranger = witness_key(3);
    assert!(!report(vec![log_key()], vec![stranger.clone()]).is_valid());
    assert!(!report(vec![log_key()], vec![witness_key(2), stranger]).is_valid());
    // The key of a witness does not replace that of the log.
    assert!(!report(vec![witness_key(2)], vec![]).is_valid());
    if let Ok(other) = other {
        assert!(!report(vec![other.clone()], vec![]).is_valid());
        assert!(report(vec![other, log_key()], vec![]).is_valid());
    }
}

#[test]
fn a_changed_event_is_reported() {
    let good = Pack::new(100, &[]);
    for (from, to) in [
        ("dana@example.com", "dora@example.com"),
        ("203.0.113.9", "203.0.113.8"),
        ("\"attempt\": 12", "\"attempt\": 13"),
        (r#""occurred_at":"2026-01-01T00:00:00.000012Z""#, r#""occurred_at":"2026-01-01T00:00:00.000011Z""#),
        (r#""id":1012"#, r#""id":1011"#),
    ] {
        let mut pack = good.clone();
        let mut lines = pack.lines("events.json");
        let at = lines.iter().position(|line| line.contains(r#""leaf":12}"#)).unwrap();
        lines[at] = lines[at].replacen(from, to, 1);
        pack.set_lines("events.json", &lines);
        assert_invalid(&pack.zip(), "(leaf 12): its hash is not the one in the workspace log");
        // The change is detected even without the prefixes, but not located.
        pack.files.get_mut("proof/prefixes.bin").unwrap().clear();
        assert_invalid(&pack.zip(), "at least one of them differs from the log");
    }
}

#[test]
fn an_omitted_event_is_detected() {
    let good = Pack::new(100, &[]);
    let mut lines = good.lines("events.json");
    let gone = lines.remove(3);
    let mut pack = good.clone();
    pack.set_lines("events.json", &lines);
    assert_invalid(&pack.zip(), "leaf 15: it is missing");
    // The event must not be reduced to a stub.
    let mut stubs = good.lines("proof/stubs.json");
    stubs.push(String::from_utf8(Line::parse(gone.as_bytes()).unwrap().stub()).unwrap());
    pack.set_lines("proof/stubs.json", &stubs);
    assert_invalid(&pack.zip(), "event 1015 (leaf 15): it was left out of events.json");
    // A stub must not be a full line, and an event must not be repeated.
    *stubs.last_mut().unwrap() = gone;
    pack.set_lines("proof/stubs.json", &stubs);
    assert_invalid(&pack.zip(), "event 1015 (leaf 15): stubs.json contains a line of it that is not a stub");
    let mut pack = good.clone();
    let mut lines = good.lines("events.json");
    lines.push(lines[0].clone());
    pack.set_lines("events.json", &lines);
    assert_invalid(&pack.zip(), "event 1006 (leaf 6): it occurs in the pack more than once");
}

#[test]
fn swapped_and_moved_leaves_are_detected() {
    let good = Pack::new(100, &[]);
    let lines = good.lines("events.json");
    let swap = |a: &str, b: &str| {
        let mut pack = good.clone();
        let mark = |line: &String| line.replace(a, "@").replace(b, a).replace('@', b);
        let changed: Vec<String> = lines
            .iter()
            .map(|line| if line.contains("dana@") { line.replace('@', "\u{1}") } else { line.clone() })
            .map(|line| mark(&line).replace('\u{1}', "@"))
            .collect();
        pack.set_lines("events.json", &changed);
        pack.zip()
    };
    assert_invalid(&swap(r#""leaf":9}"#, r#""leaf":12}"#), "its hash is not the one in the workspace log");
    for (to, why) in [
        (r#""leaf":1}"#, "it lies before the first leaf of the range"),
        (r#""leaf":null}"#, "leaf 9: it is missing"),
        (r#""leaf":1000}"#, "leaf 9: it is missing"),
        (r#""leaf":10}"#, "leaf 9: it is missing"),
    ] {
        let mut pack = good.clone();
        let changed: Vec<String> = lines.iter().map(|line| line.replace(r#""leaf":9}"#, to)).collect();
        pack.set_lines("events.json", &changed);
        assert_invalid(&pack.zip(), why);
    }
}

#[test]
fn foreign_events_are_detected() {
    let good = Pack::new(100, &[]);
    // A full event that the definition does not select.
    let mut pack = good.clone();
    let stubs = good.lines("proof/stubs.json");
    let mut line = Vec::new();
    event_line(7, &mut line);
    let mut lines = good.lines("events.json");
    lines.push(String::from_utf8(line).unwrap());
    pack.set_lines("events.json", &lines);
    let without: Vec<String> = stubs.iter().filter(|line| !line.contains(r#""leaf":7}"#)).cloned().collect();
    pack.set_lines("proof/stubs.json", &without);
    assert_invalid(&pack.zip(), "event 1007 (leaf 7): the definition of the pack does not name such events");
    // The manifest cannot hide an event by a later start, a wider definition or filters.
    let change = |key: &str, value: serde_json::Value| {
        let mut pack = good.clone();
        *pack.manifest.pointer_mut(key).unwrap() = value;
        pack.zip()
    };
    assert_invalid(
        &change("/period/since", json!("2026-01-01T00:00:00.000010Z")).clone(),
        "it did not occur in the period",
    );
    assert_invalid(&change("/definition/include", json!([])), "it was left out of events.json");
    assert_invalid(&change("/filters", json!({ "actor": "dana" })), "filters narrowed the pack");
    assert_invalid(&change("/counts/events", json!(35)), "manifest.json counts 35 events");
}

#[test]
fn forged_heads_and_checkpoints_are_detected() {
    let good = Pack::new(100, &[]);
    let with = |change: &dyn Fn(&mut Pack)| {
        let mut pack = good.clone();
        change(&mut pack);
        pack.zip()
    };
    let head = |pack: &mut Pack| pack.log.head.take().unwrap();
    assert_invalid(&with(&|pack| drop(head(pack))), "it has no head");
    assert_invalid(
        &with(&|pack| pack.log.head.as_mut().unwrap().root[0] ^= 1),
        "its heads_recorded event does not contain its digest",
    );
    assert_invalid(
        &with(&|pack| pack.log.head.as_mut().unwrap().size -= 1),
        "its heads_recorded event does not contain its digest",
    );
    assert_invalid(&with(&|pack| pack.log.log_id[0] ^= 1), "its heads_recorded event does not contain its digest");
    assert_invalid(
        &with(&|pack| pack.log.head.as_mut().unwrap().path[0][0] ^= 1),
        "its heads_recorded event is not in the log of the checkpoint",
    );
    assert_invalid(&with(&|pack| pack.log.hashes[0][0] ^= 1), "at least one of them differs from the log");
    assert_invalid(&with(&|pack| pack.log.hashes.truncate(1)), "the proof has too few hashes");
    assert_invalid(&with(&|pack| pack.log.hashes.push([0; 32])), "the proof has too many hashes");
    assert_invalid(&with(&|pack| pack.log.first += 1), "its range does not begin with the head at the beginning");
    assert_invalid(
        &with(&|pack| pack.log.from = None),
        "its range begins within the workspace log, but it has no head at the beginning",
    );
    // A genuine but later head at the beginning would hide the events before it.
    assert_invalid(&with(&|pack| pack.log.from = pack.log.head.clone()), "was recorded after the period had begun");
    // Events that anyone can append.
    for (from, to) in [
        ("system:sealer", "mallory"),
        ("heads_recorded", "heads_invented"),
        (r#""workspace":"audit""#, r#""workspace":"acme""#),
    ] {
        let forged = with(&|pack| {
            let head = pack.log.head.as_mut().unwrap();
            head.heads_event = head.heads_event.replacen(from, to, 1);
        });
        assert_invalid(&forged, "its event is not a heads_recorded event of the sealer");
    }
    // A forged head, named by an event that is not in the signed log.
    let forged = with(&|pack| {
        let root = pack.log.head.as_ref().unwrap().root;
        let named = Head { log_id: [9; 16], workspace: "acme", size: 104, root };
        pack.log.head.as_mut().unwrap().size = 104;
        pack.log.head.as_mut().unwrap().heads_event = heads_event(1, UNTIL, &[named]);
    });
    assert_invalid(&forged, "its heads_recorded event is not in the log of the checkpoint");
    // A checkpoint without a valid signature.
    let forged = with(&|pack| {
        let note = str::from_utf8(&pack.files["proof/checkpoint.txt"]).unwrap().replacen("\n2\n", "\n3\n", 1);
        pack.files.insert("proof/checkpoint.txt".to_owned(), note.into_bytes());
    });
    assert_invalid(&forged, "the signature by ");
    // A signed checkpoint of another tree.
    let forged = with(&|pack| {
        let note = note(&text(forge::ORIGIN, 2, &[1; 32]));
        pack.files.insert("proof/checkpoint.txt".to_owned(), note.into_bytes());
    });
    assert_invalid(&forged, "its heads_recorded event is not in the log of the checkpoint");
}

#[test]
fn files_that_differ_from_the_manifest_are_detected() {
    let good = Pack::new(30, &[]);
    let with = |change: &dyn Fn(&mut serde_json::Value)| good.zip_with(change);
    let file = |manifest: &mut serde_json::Value, name: &str| {
        let files = manifest["files"].as_array().unwrap();
        files.iter().position(|file| file["name"] == name).unwrap()
    };
    for name in ["README.txt", "events.csv", "events.json", "proof/stubs.json", "proof/log.json"] {
        let changed = with(&|manifest| {
            let at = file(manifest, name);
            manifest["files"][at]["sha256"] = "00".repeat(32).into();
        });
        assert_invalid(&changed, &format!("{name} has been changed"));
        for bytes in [1_u64, 1 << 40] {
            let changed = with(&|manifest| {
                let at = file(manifest, name);
                manifest["files"][at]["bytes"] = bytes.into();
            });
            assert_invalid(&changed, &format!("{name} "));
        }
        let missing = with(&|manifest| {
            let at = file(manifest, name);
            manifest["files"].as_array_mut().unwrap().remove(at);
        });
        assert_invalid(&missing, &format!("{name} is in the zip, but not in manifest.json"));
        let twice = with(&|manifest| {
            let at = file(manifest, name);
            let again = manifest["files"][at].clone();
            manifest["files"].as_array_mut().unwrap().push(again);
        });
        assert_invalid(&twice, &format!("manifest.json lists {name} twice"));
    }
    let added = with(&|manifest| {
        let more = json!({ "name": "more.txt", "bytes": 0, "sha256": "" });
        manifest["files"].as_array_mut().unwrap().push(more);
    });
    assert_invalid(&added, "more.txt is missing");
    for name in ["../evil", "/evil", "proof/../evil", "evil\\..\\x", "evil/"] {
        let mut pack = good.clone();
        pack.extra.push((name.to_owned(), b"x".to_vec()));
        let (_directory, path) = in_file(&pack.zip());
        let error = verify(&path, &trust(), |_| ()).unwrap_err();
        assert!(
            matches!(&error, Unreadable::Malformed(why) if why == "the name of an entry is malformed"),
            "{name}: {error}"
        );
    }
    let mut pack = good.clone();
    pack.extra.push(("extra.txt".to_owned(), b"x".to_vec()));
    assert_invalid(&pack.zip(), "extra.txt is in the zip, but not in manifest.json");
}

#[test]
fn a_repeated_name_is_detected() {
    let mut pack = Pack::new(30, &[]);
    pack.extra.push(("events.jsom".to_owned(), b"x".to_vec()));
    let mut zip = pack.zip();
    while let Some(at) = zip.windows(11).position(|name| name == b"events.jsom") {
        zip[at + 10] = b'n';
    }
    let (_directory, path) = in_file(&zip);
    let error = verify(&path, &trust(), |_| ()).unwrap_err();
    assert!(matches!(&error, Unreadable::Malformed(why) if why == "a name occurs twice"), "{error}");
}

#[test]
fn a_pack_without_a_proof_is_not_proven() {
    let mut pack = Pack::new(30, &[]);
    pack.files.retain(|name, _| !name.starts_with("proof/"));
    let report = check(&pack.zip());
    assert!(report.is_valid() && !report.is_proven());
    assert!(
        report.to_string().starts_with("NOT PROVEN  acme access-review 2026-01-01..2026-04-01: 10 events, no proof"),
        "{report}"
    );
    // A pack with only a part of a proof is invalid.
    let mut pack = Pack::new(30, &[]);
    pack.files.remove("proof/checkpoint.txt");
    assert_invalid(&pack.zip(), "proof/checkpoint.txt is missing");
    let mut pack = Pack::new(30, &[]);
    pack.files.remove("proof/removed.json");
    assert_invalid(&pack.zip(), "proof/removed.json is missing");
}

#[test]
fn an_inclusion_pack_may_hold_newer_events() {
    let mut pack = Pack::new(100, &[]);
    let mut tree = Tree::default();
    let mut line = Vec::new();
    for leaf in 0..BEFORE + 100 {
        line.clear();
        event_line(leaf, &mut line);
        tree.push(Line::parse(&line).unwrap().leaf_hash());
    }
    let mut lines: Vec<String> = pack.lines("events.json").into_iter().take(2).collect();
    let newer = String::from_utf8(line.clone())
        .unwrap()
        .replace("ticket_created", "login_succeeded")
        .replace(r#""leaf":104}"#, r#""leaf":null}"#);
    lines.push(newer);
    pack.set_lines("events.json", &lines);
    pack.set_lines("proof/stubs.json", &[]);
    pack.files.insert("proof/stubs.json".to_owned(), b"[\n]\n".to_vec());
    pack.manifest["filters"] = json!({ "actor": "dana@example.com" });
    pack.manifest["counts"]["events"] = 3.into();
    pack.log.claim = Claim::Inclusion;
    pack.log.from = None;
    pack.log.first = 0;
    pack.log.hashes = subset_proof(BEFORE + 100, &[6..7, 9..10], &mut tree).unwrap();
    pack.files.get_mut("proof/prefixes.bin").unwrap().clear();
    let report = check(&pack.zip());
    assert!(report.is_proven(), "{report}");
    assert!(
        report
            .to_string()
            .contains("2 events, each in the workspace log; the pack does not prove that no other event matches"),
        "{report}"
    );
    assert!(report.to_string().contains("1 events newer than the last checkpoint, not proven"), "{report}");
    // The pack claims nothing about events that it does not show, so an event may be a stub.
    let mut stubbed = pack.clone();
    stubbed.set_lines("events.json", &lines[1..]);
    let stub = String::from_utf8(Line::parse(lines[0].as_bytes()).unwrap().stub()).unwrap();
    stubbed.set_lines("proof/stubs.json", &[stub]);
    stubbed.manifest["counts"]["events"] = 2.into();
    assert!(check(&stubbed.zip()).is_proven(), "{}", check(&stubbed.zip()));
    // The proof is valid for exactly these leaves.
    pack.set_lines("events.json", &lines[1..]);
    pack.manifest["counts"]["events"] = 2.into();
    assert_invalid(&pack.zip(), "do not lead to the root");
    pack.log.claim = Claim::Complete;
    assert_invalid(&pack.zip(), "it claims to be complete, but filters narrowed the pack");
}

#[test]
fn unknown_outcomes_are_accepted() {
    let rule = |outcomes: &[&str]| json!([{ "actions": ["login_succeeded"], "outcomes": outcomes }]);
    let zip = |outcomes| Pack::new(10, &[]).zip_with(|manifest| manifest["definition"]["include"] = rule(outcomes));
    assert!(check(&zip(&["success", "postponed"])).is_proven());
    assert_invalid(&zip(&["postponed"]), "the definition");
}

#[test]
fn log_json_is_made_of_objects() {
    let good = Pack::new(10, &[]);
    let log: serde_json::Value = serde_json::from_slice(&good.log.to_json().unwrap()).unwrap();
    let values = |object: &serde_json::Value, keys: &[&str]| keys.iter().map(|key| object[*key].clone()).collect();
    let mut with_array = log.clone();
    with_array["head"] = values(&log["head"], &["size", "root", "heads_event", "path"]);
    let array = values(&log, &["v", "workspace", "log_id", "claim", "head", "from", "first", "hashes"]);
    for log in [with_array, array] {
        let mut pack = good.clone();
        pack.files.insert("proof/log.json".to_owned(), log.to_string().into_bytes());
        assert_invalid(&pack.zip(), "log.json cannot be read");
    }
}

#[test]
fn other_files_are_unreadable() {
    let unreadable = |bytes: &[u8]| {
        let (_directory, path) = in_file(bytes);
        verify(&path, &trust(), |_| ()).unwrap_err()
    };
    assert!(matches!(unreadable(b""), Unreadable::NotAZip));
    assert!(matches!(unreadable(&[b'x'; 1000]), Unreadable::NotAZip));
    let zip = Pack::new(10, &[]).zip();
    assert!(matches!(unreadable(&zip[..zip.len() - 30]), Unreadable::NotAZip));
    for (key, value) in [
        ("pack_version", json!(2)),
        ("period", json!(["2026-01-01T00:00:00.000000Z", "2026-04-01T00:00:00.000000Z"])),
        ("period", json!({ "since": "2026-01-01", "until": "2026-04-01T00:00:00.000000Z" })),
        ("period", json!({ "since": "2026-01-01T01:00:00.000000+01:00", "until": "2026-04-01T00:00:00.000000Z" })),
        ("definition", json!({ "name": "access-review", "include": [[["login_succeeded"], [], []]] })),
        ("definition", json!({ "name": "access-review", "include": [{ "actors": ["eve"] }] })),
        ("counts", json!([4])),
    ] {
        let not_a_pack = Pack::new(10, &[]).zip_with(|manifest| manifest[key] = value.clone());
        assert!(matches!(unreadable(&not_a_pack), Unreadable::NotAPack(_)), "{key} {value}");
    }
    let without_key = Pack::new(10, &[]).zip_with(|manifest| drop(manifest.as_object_mut().unwrap().remove("key")));
    assert!(matches!(unreadable(&without_key), Unreadable::NotAPack(_)));
}

#[test]
fn every_changed_byte_is_detected() {
    let pack = Pack::new(12, &[8]);
    let good = pack.zip();
    let expected = check(&good).to_string();
    // Some bytes do not affect the content: times, attributes and versions of the zip.
    for at in (0..good.len()).step_by(7) {
        let mut changed = good.clone();
        changed[at] ^= 0x55;
        let (_directory, path) = in_file(&changed);
        if let Ok(report) = verify(&path, &trust(), |_| ()) {
            assert!(!report.is_valid() || report.to_string() == expected, "byte {at}: {report}");
        }
    }
}

/// Measures the verification of a large pack. Run it with `cargo test --release -p audit_sidecar --test verify --
/// --ignored --nocapture`.
#[test]
#[ignore = "takes a minute and only prints figures"]
fn a_million_events() {
    let pack = Pack::new(1_000_000, &[]);
    let (_directory, path) = in_file(&pack.zip());
    let size = std::fs::metadata(&path).unwrap().len();
    drop(pack);
    let start = Instant::now();
    let report = verify(&path, &trust(), |_| ()).unwrap();
    println!("{:.2} s for a zip of {} MB: {report}", start.elapsed().as_secs_f64(), size >> 20);
    assert!(report.is_proven());
}
