//! Properties of all events and all byte sequences.

mod row;

use audit_proof::{Batch, Error, Event, Field, Line, Salt, Source, time};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::row::{field, plain_row, row};

proptest! {
    #[test]
    fn a_line_holds_the_values_of_its_event(row in row()) {
        let event = row.event();
        let text = line_of(&event);
        let line = Line::parse(&text).unwrap();
        prop_assert_eq!(line.id(), event.id);
        prop_assert_eq!(&line.workspace(), event.workspace);
        prop_assert_eq!(line.occurred_at(), event.occurred_at);
        prop_assert_eq!(line.recorded_at(), event.recorded_at);
        prop_assert_eq!(&line.action(), event.action);
        prop_assert_eq!(line.leaf(), event.leaf);
        prop_assert!(text.starts_with(line.head().as_bytes()));

        // An ordinary JSON parser must read the same values.
        let value: Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(value["workspace"].as_str(), Some(event.workspace));
        prop_assert_eq!(value["actor"].as_str(), event.actor);
        prop_assert_eq!(&value["targets"], &Value::from(row.targets.clone()));
        prop_assert_eq!(value["source"]["user_agent"].as_str(), event.source.user_agent);
        prop_assert_eq!(&value["details"], &serde_json::from_str::<Value>(event.details).unwrap());
    }

    #[test]
    fn every_form_and_the_event_have_one_leaf_hash(row in row(), fields in vec(field(), 0..6)) {
        let event = row.event();
        let text = line_of(&event);
        let line = Line::parse(&text).unwrap();
        let mut scratch = b"left over".to_vec();
        prop_assert_eq!(event.leaf_hash(&mut scratch).unwrap(), line.leaf_hash());
        prop_assert_eq!(event.body(&mut scratch).unwrap(), line.body());
        for form in [line.withhold(&fields), line.stub()] {
            let form = Line::parse(&form).unwrap();
            prop_assert_eq!(form.leaf_hash(), line.leaf_hash());
            prop_assert_eq!(form.leaf(), line.leaf());
            for field in Field::ALL {
                let shown = !form.is_stub() && !fields.contains(&field);
                prop_assert_eq!(form.shown(field).is_some(), shown);
                let digest = line.field_digest(field).filter(|_| !form.is_stub());
                prop_assert_eq!(form.field_digest(field), digest);
            }
        }
    }

    #[test]
    fn a_batch_gives_the_same_leaf_hashes(rows in vec((row(), vec(field(), 0..6), 0..4u8), 0..40)) {
        let lines: Vec<_> = rows.iter().map(|(row, _, _)| line_of(&row.event())).collect();
        let mut batch = Batch::default();
        // The second round reuses the memory of the first.
        for _ in 0..2 {
            for ((row, fields, form), text) in rows.iter().zip(&lines) {
                let line = Line::parse(text).unwrap();
                match form {
                    0 => batch.push_event(&row.event()).unwrap(),
                    1 => batch.push_event(&Event { salt: erased(&row.event(), fields), ..row.event() }).unwrap(),
                    2 => batch.push_line(&Line::parse(&line.withhold(fields)).unwrap()),
                    _ => batch.push_line(&Line::parse(&line.stub()).unwrap()),
                }
            }
            prop_assert_eq!(batch.len(), rows.len());
            let expected: Vec<_> = lines.iter().map(|text| Line::parse(text).unwrap().leaf_hash()).collect();
            prop_assert_eq!(batch.finish(), expected);
            prop_assert!(batch.is_empty());
        }
    }

    #[test]
    fn every_change_is_detected(
        row in row(),
        fields in vec(field(), 0..3),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let full = line_of(&row.event());
        let line = Line::parse(&full).unwrap();
        for text in [line.text().into(), line.withhold(&fields), line.stub()] {
            let at = at.index(text.len());
            assert_found(&text, &[&text[..at], &[byte], &text[at + 1..]].concat());
            assert_found(&text, &[&text[..at], &[byte], &text[at..]].concat());
            assert_found(&text, &[&text[..at], &text[at + 1..]].concat());
            assert_found(&text, &text[..at]);
        }
    }

    #[test]
    fn a_redacted_field_keeps_the_leaf_hash(row in row(), fields in vec(field(), 1..6)) {
        let event = row.event();
        let mut erased = event;
        for &field in &fields {
            let digest = erased.field_digest(field, &mut Vec::new()).unwrap();
            let salt = erased.salt.redact(field, digest);
            prop_assert!(salt.is_redacted(field));
            erased = match field {
                Field::Actor => Event { actor: None, salt, ..erased },
                Field::Source => Event { source: Source::default(), salt, ..erased },
                Field::Details => Event { details: "{}", salt, ..erased },
                Field::Targets => Event { salt, ..erased },
            };
        }
        prop_assert_eq!(Salt::from_stored(&erased.salt.to_stored()), Some(erased.salt));
        let whole = line_of(&event);
        prop_assert_eq!(line_of(&erased), Line::parse(&whole).unwrap().withhold(&fields));
        prop_assert_eq!(erased.leaf_hash(&mut Vec::new()), event.leaf_hash(&mut Vec::new()));
    }

    #[test]
    fn parsing_arbitrary_bytes_does_not_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Line::parse(&bytes).is_err());
    }

    #[test]
    fn parsing_an_arbitrary_tail_does_not_panic(
        row in row(),
        at: prop::sample::Index,
        tail in r#"[]\[{}":,0-9eE.+\\ untrfalsebd-]{0,40}"#,
    ) {
        let text = line_of(&row.event());
        let cut = [&text[..at.index(text.len())], tail.as_bytes()].concat();
        let _ = Line::parse(&cut);
        let _ = Event { details: &tail, ..row.event() }.write_line(&mut Vec::new());
    }

    #[test]
    fn written_lines_can_be_parsed(details in r#"\{[]\[{}":,0-9eE.+\\ untrfalsebd-]{0,12}\}"#) {
        let row = plain_row();
        let event = Event { details: &details, ..row.event() };
        let mut text = b"kept".to_vec();
        match event.write_line(&mut text) {
            Ok(()) => {
                let line = Line::parse(&text[4..]).unwrap();
                prop_assert_eq!(line.shown(Field::Details), Some(&details[..]));
                prop_assert!(serde_json::from_str::<Value>(&details).is_ok());
            }
            Err(error) => {
                prop_assert!(matches!(error, Error::Details { .. }), "{}", error);
                prop_assert_eq!(text, b"kept");
            }
        }
    }

    #[test]
    fn a_time_is_parsed_from_its_text(micros in time::MIN..=time::MAX) {
        prop_assert_eq!(time::from_text(&time::to_text(micros).unwrap()), Some(micros));
    }
}

#[test]
fn every_changed_bit_of_a_line_is_detected() {
    let row = plain_row();
    let full = line_of(&row.event());
    let line = Line::parse(&full).unwrap();
    for text in [line.text().into(), line.withhold(&[Field::Source]), line.withhold(&Field::ALL), line.stub()] {
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut changed = text.clone();
                changed[at] ^= 1 << bit;
                assert_found(&text, &changed);
            }
            for digit in b'0'..=b'9' {
                let mut changed = text.clone();
                changed[at] = digit;
                assert_found(&text, &changed);
            }
        }
    }
}

#[test]
fn events_without_a_line_are_refused() {
    let row = plain_row();
    let refused = |event: Event<'_, _>| event.leaf_hash(&mut Vec::new()).unwrap_err();
    let event = row.event();
    assert_eq!(refused(Event { id: 0, ..event }), Error::Number { key: "id", value: 0 });
    let leaf = Some(1 << 63);
    assert_eq!(refused(Event { leaf, ..event }), Error::Number { key: "leaf", value: 1 << 63 });
    let micros = time::MAX + 1;
    assert_eq!(refused(Event { occurred_at: micros, ..event }), Error::Time { key: "occurred_at", micros });
    let micros = i64::MIN;
    assert_eq!(refused(Event { recorded_at: micros, ..event }), Error::Time { key: "recorded_at", micros });
    for details in ["", "null", "[]", "{}{}", "{} ", "{\"a\": \"\u{1}\"}", "{\"a\":\n1}"] {
        assert!(matches!(refused(Event { details, ..event }), Error::Details { .. }), "{details}");
    }
}

#[test]
fn targets_can_be_any_iterator() {
    let row = plain_row();
    let targets = "user:17 team:3".split(' ');
    let event = row.event();
    let same = Event {
        id: event.id,
        workspace: event.workspace,
        occurred_at: event.occurred_at,
        recorded_at: event.recorded_at,
        category: event.category,
        action: event.action,
        outcome: event.outcome,
        actor: event.actor,
        targets,
        source: event.source,
        details: event.details,
        salt: event.salt,
        leaf: event.leaf,
    };
    assert_eq!(line_of(&same), line_of(&event));
}

/// Asserts that a changed line is invalid, has another hash, or claims another leaf. The hash does not cover the leaf
/// index.
fn assert_found(text: &[u8], changed: &[u8]) {
    if text == changed {
        return;
    }
    let Ok(after) = Line::parse(changed) else {
        return;
    };
    let before = Line::parse(text).unwrap();
    if after.leaf_hash() == before.leaf_hash() {
        assert_ne!(after.leaf(), before.leaf(), "{}", after.text());
        assert_eq!(
            after.text().rsplit_once(r#","leaf":"#).unwrap().0,
            before.text().rsplit_once(r#","leaf":"#).unwrap().0,
        );
    }
}

/// Returns the salt of the event with these fields redacted.
fn erased(event: &Event<'_, &[String]>, fields: &[Field]) -> Salt {
    let digest = |field| event.field_digest(field, &mut Vec::new()).unwrap();
    fields.iter().fold(event.salt, |salt, &field| salt.redact(field, digest(field)))
}

fn line_of<T: Clone + IntoIterator<Item: AsRef<str>>>(event: &Event<'_, T>) -> Vec<u8> {
    let mut text = Vec::new();
    event.write_line(&mut text).unwrap();
    text
}
