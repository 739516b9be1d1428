//! The test vectors that a second implementation generates from FORMAT.md.

use audit_proof::checkpoint::{Checkpoint, Error as CheckpointError, Key, Signed};
use audit_proof::head::Head;
use audit_proof::tree::{Frontier, Hash, check_consistency, root_from_inclusion, root_from_subset};
use audit_proof::{Error, Event, Field, Line, Salt, Source, digest};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[test]
fn events_have_the_given_lines_and_hashes() {
    for vector in read(include_str!("../vectors/events.json")) {
        let about = text(&vector["description"]);
        let targets: Vec<&str> = vector["targets"].as_array().unwrap().iter().map(text).collect();
        let adjusted: Vec<&str> = vector["source"]["adjusted"].as_array().into_iter().flatten().map(text).collect();
        let event = event(&vector, &targets, &adjusted);
        let mut out = b"before".to_vec();
        event.write_line(&mut out).unwrap();
        assert_eq!(str::from_utf8(&out[6..]), Ok(text(&vector["line"])), "{about}");

        let line = Line::parse(&out[6..]).unwrap_or_else(|error| panic!("{about}: {error}"));
        assert_eq!(line.text().as_bytes(), &out[6..], "{about}");
        assert_eq!(line.id(), event.id, "{about}");
        assert_eq!(line.workspace(), event.workspace, "{about}");
        assert_eq!(line.occurred_at(), event.occurred_at, "{about}");
        assert_eq!(line.recorded_at(), event.recorded_at, "{about}");
        assert_eq!(line.category(), event.category, "{about}");
        assert_eq!(line.action(), event.action, "{about}");
        assert_eq!(line.outcome(), event.outcome, "{about}");
        assert_eq!(line.shown(Field::Details), Some(event.details), "{about}");
        assert_eq!(line.leaf(), event.leaf, "{about}");
        assert!(!line.is_stub(), "{about}");

        let mut scratch = Vec::new();
        for field in Field::ALL {
            let salt = hex(&digest::field_salt(&salt_of(&event), field));
            assert_eq!(salt, vector["field_salts"][field.name()], "{about}");
            assert_eq!(salt, hex(&digest::field_salts(&salt_of(&event))[field as usize]), "{about}");
            let expected = &vector["field_digests"][field.name()];
            assert_eq!(hex(&line.field_digest(field).unwrap()), *expected, "{about}");
            assert_eq!(hex(&event.field_digest(field, &mut scratch).unwrap()), *expected, "{about}");
        }
        assert_eq!(hex(&line.body()), vector["body"], "{about}");
        assert_eq!(hex(&event.body(&mut scratch).unwrap()), vector["body"], "{about}");
        assert_eq!(hex(&line.leaf_hash()), vector["leaf_hash"], "{about}");
        assert_eq!(hex(&event.leaf_hash(&mut scratch).unwrap()), vector["leaf_hash"], "{about}");
    }
}

#[test]
fn withheld_fields_and_stubs_keep_the_leaf_hash() {
    for vector in read(include_str!("../vectors/withheld.json")) {
        let about = text(&vector["description"]);
        let from = Line::parse(text(&vector["from"]).as_bytes()).unwrap();
        let expected = text(&vector["line"]);
        let names = vector["withheld"].as_array();
        let withheld: Vec<Field> = Field::ALL
            .into_iter()
            .filter(|field| names.is_some_and(|names| names.iter().any(|name| name == field.name())))
            .collect();
        let made = if names.is_some() { from.withhold(&withheld) } else { from.stub() };
        assert_eq!(str::from_utf8(&made), Ok(expected), "{about}");

        let line = Line::parse(expected.as_bytes()).unwrap_or_else(|error| panic!("{about}: {error}"));
        assert_eq!(line.is_stub(), names.is_none(), "{about}");
        assert_eq!(line.leaf(), from.leaf(), "{about}");
        assert_eq!(hex(&line.body()), vector["body"], "{about}");
        assert_eq!(hex(&line.leaf_hash()), vector["leaf_hash"], "{about}");
        assert_eq!(line.stub(), from.stub(), "{about}");
        for field in Field::ALL {
            if names.is_none() {
                assert_eq!(line.field_digest(field), None, "{about}");
                assert_eq!(line.withhold(&[field]), line.text().as_bytes(), "{about}");
                continue;
            }
            let shown = (!withheld.contains(&field)).then(|| from.shown(field).unwrap());
            assert_eq!(line.shown(field), shown, "{about}");
            assert_eq!(line.field_digest(field), from.field_digest(field), "{about}");
            // Withholding fields one at a time gives the same bytes as withholding all at once.
            let both: Vec<Field> = withheld.iter().copied().chain([field]).collect();
            assert_eq!(line.withhold(&[field]), from.withhold(&both), "{about}");
        }
    }
}

#[test]
fn invalid_lines_are_refused() {
    for vector in read(include_str!("../vectors/invalid.json")) {
        let about = text(&vector["description"]);
        let bytes = match &vector["line_hex"] {
            Value::String(digits) => unhex(digits),
            _ => text(&vector["line"]).into(),
        };
        match Line::parse(&bytes) {
            Ok(_) => panic!("accepted: {about}"),
            Err(Error::Line { position, .. }) => assert!(position <= bytes.len(), "{about}"),
            Err(error) => panic!("{about}: {error}"),
        }
    }
}

#[test]
fn trees_have_the_given_roots_and_proofs() {
    let mut kinds = [0; 4];
    for vector in read(include_str!("../vectors/tree.json")) {
        let (size, root) = (index(&vector["size"]), hash(&vector["root"]));
        let hashes: Vec<Hash> = vector["hashes"].as_array().into_iter().flatten().map(hash).collect();
        let holds = match text(&vector["kind"]) {
            "root" => {
                kinds[0] += 1;
                let mut frontier = Frontier::new();
                (0..size).for_each(|index| frontier.push(tree_leaf(index), |_, _, _| ()));
                assert_eq!(frontier.root(), root, "{vector}");
                continue;
            }
            "inclusion" => {
                kinds[1] += 1;
                let leaf = index(&vector["leaf"]);
                // If a vector claims another index, the hash is still that of the original leaf.
                let candidates = [tree_leaf(leaf), tree_leaf(leaf.saturating_sub(1))];
                candidates.iter().any(|hash| root_from_inclusion(leaf, size, hash, &hashes) == Ok(root))
            }
            "consistency" => {
                kinds[2] += 1;
                let (old, old_root) = (index(&vector["old"]), hash(&vector["old_root"]));
                check_consistency(old, &old_root, size, &root, &hashes).is_ok()
            }
            _ => {
                kinds[3] += 1;
                let leaves = vector["leaves"].as_array().unwrap().iter().map(index);
                root_from_subset(size, leaves.map(|leaf| (leaf, tree_leaf(leaf))), &hashes) == Ok(root)
            }
        };
        assert_eq!(holds, vector["valid"].as_bool().unwrap(), "{vector}");
    }
    assert!(kinds.iter().all(|count| *count > 10), "{kinds:?}");
}

#[test]
fn heads_have_the_given_texts_and_digests() {
    for vector in read(include_str!("../vectors/heads.json")) {
        let head = Head {
            log_id: unhex(text(&vector["log_id"])).try_into().unwrap(),
            workspace: text(&vector["workspace"]),
            size: index(&vector["size"]),
            root: hash(&vector["root"]),
        };
        assert_eq!(head.text(), text(&vector["text"]));
        assert_eq!(head.digest(), hash(&vector["digest"]), "{vector}");
    }
}

#[test]
fn checkpoints_are_signed_as_given() {
    for vector in read(include_str!("../vectors/checkpoint.json")) {
        let checkpoint = Checkpoint::parse(text(&vector["note"]).as_bytes()).unwrap();
        assert_eq!(checkpoint.origin(), text(&vector["origin"]));
        assert_eq!(checkpoint.size(), index(&vector["size"]));
        assert_eq!(checkpoint.root(), hash(&vector["root"]));
        let verify = |key: &str| checkpoint.verify(&Key::parse(text(&vector[key])).unwrap());
        assert_eq!(verify("key"), Ok(Signed { at: None }));
        assert_eq!(verify("witness"), Ok(Signed { at: vector["time"].as_u64() }));
        assert!(matches!(verify("stranger"), Err(CheckpointError::Unsigned { .. })));
    }
}

#[test]
fn format_md_shows_the_first_vector() {
    let page = include_str!("../FORMAT.md").replace("↵\n", "");
    let vector = &read(include_str!("../vectors/events.json"))[0];
    let line = Line::parse(text(&vector["line"]).as_bytes()).unwrap();
    let without_details = String::from_utf8(line.withhold(&[Field::Details])).unwrap();
    let stub = String::from_utf8(line.stub()).unwrap();
    let (_, withheld_end) = without_details.split_once(r#","details_digest""#).unwrap();
    for shown in [line.text(), withheld_end, &stub[line.head().len()..], &hex(&line.body()), &hex(&line.leaf_hash())] {
        assert!(page.contains(shown), "{shown}");
    }
}

fn read(json: &str) -> Vec<Value> {
    let vectors: Vec<Value> = serde_json::from_str(json).unwrap();
    assert!(!vectors.is_empty());
    vectors
}

fn event<'a>(vector: &'a Value, targets: &'a [&'a str], adjusted: &'a [&'a str]) -> Event<'a> {
    let source = |key: &str| vector["source"][key].as_str();
    Event {
        id: integer(&vector["id"]),
        workspace: text(&vector["workspace"]),
        occurred_at: integer(&vector["occurred_at"]),
        recorded_at: integer(&vector["recorded_at"]),
        category: text(&vector["category"]),
        action: text(&vector["action"]),
        outcome: text(&vector["outcome"]),
        actor: vector["actor"].as_str(),
        targets,
        source: Source {
            ip: source("ip"),
            user_agent: source("user_agent"),
            session_id: source("session_id"),
            request_id: source("request_id"),
            database_user: source("database_user"),
            application_name: source("application_name"),
            client_addr: source("client_addr"),
            masked: vector["source"]["masked"].as_u64().unwrap_or(0) as u32,
            adjusted,
        },
        details: text(&vector["details"]),
        salt: Salt::from_stored(&unhex(text(&vector["salt"]))).unwrap(),
        leaf: (!vector["leaf"].is_null()).then(|| index(&vector["leaf"])),
    }
}

/// Returns the leaf at an index: the hash of the index.
fn tree_leaf(index: u64) -> Hash {
    Sha256::new().chain_update([0]).chain_update(index.to_be_bytes()).finalize().into()
}

/// Returns an integer. It stands as a string if a binary floating-point number may not hold it.
fn integer(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| text(value).parse().unwrap())
}

fn index(value: &Value) -> u64 {
    integer(value).try_into().unwrap()
}

fn hash(value: &Value) -> Hash {
    unhex(text(value)).try_into().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn salt_of(event: &Event<'_, &[&str]>) -> [u8; 16] {
    match event.salt {
        Salt::Whole(salt) => salt,
        Salt::Redacted(_) => panic!("the vectors have no redacted events"),
    }
}
