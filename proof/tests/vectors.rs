//! The vectors that a second implementation made from FORMAT.md.

use audit_proof::{Error, Event, Field, Line, Salt, Source, digest};
use serde_json::Value;

#[test]
fn events_have_the_given_lines_and_hashes() {
    for vector in read(include_str!("../vectors/events.json")) {
        let about = text(&vector["description"]);
        let targets: Vec<&str> = vector["targets"].as_array().unwrap().iter().map(text).collect();
        let event = event(&vector, &targets);
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
            // One step at a time leads to the same bytes as all at once.
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
fn the_page_shows_the_first_vector() {
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

fn event<'a>(vector: &'a Value, targets: &'a [&'a str]) -> Event<'a> {
    let source = |key: &str| vector["source"][key].as_str();
    Event {
        id: vector["id"].as_i64().unwrap(),
        workspace: text(&vector["workspace"]),
        occurred_at: vector["occurred_at"].as_i64().unwrap(),
        recorded_at: vector["recorded_at"].as_i64().unwrap(),
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
        },
        details: text(&vector["details"]),
        salt: Salt::from_stored(&unhex(text(&vector["salt"]))).unwrap(),
        leaf: vector["leaf"].as_u64(),
    }
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
        Salt::Redacted(_) => panic!("the vectors are of whole events"),
    }
}
