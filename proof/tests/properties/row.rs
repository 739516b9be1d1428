use audit_proof::{Event, Field, Source, time};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// An event that owns its texts.
#[derive(Debug)]
pub(crate) struct Row {
    id: i64,
    head: [String; 4],
    times: [i64; 2],
    actor: Option<String>,
    pub(crate) targets: Vec<String>,
    source: Vec<Option<String>>,
    details: String,
    salt: [u8; 16],
    leaf: Option<u64>,
}

impl Row {
    pub(crate) fn event(&self) -> Event<'_, &[String]> {
        let source = |index: usize| self.source[index].as_deref();
        Event {
            id: self.id,
            workspace: &self.head[0],
            occurred_at: self.times[0],
            recorded_at: self.times[1],
            category: &self.head[1],
            action: &self.head[2],
            outcome: &self.head[3],
            actor: self.actor.as_deref(),
            targets: &self.targets,
            source: Source {
                ip: source(0),
                user_agent: source(1),
                session_id: source(2),
                request_id: source(3),
                database_user: source(4),
                application_name: source(5),
                client_addr: source(6),
                ..Source::default()
            },
            details: &self.details,
            salt: self.salt.into(),
            leaf: self.leaf,
        }
    }
}

pub(crate) fn plain_row() -> Row {
    Row {
        id: 48_211,
        head: ["acme\n", "admin", "role_changed", "success"].map(String::from),
        times: [1_741_944_413_589_793, 1_741_944_413_600_000],
        actor: Some("d\"ana".into()),
        targets: vec!["user:17".into(), "team:3".into()],
        source: vec![None, Some("é🔒".into()), None, Some("req-7".into()), None, None, Some("10.0.0.5".into())],
        details: r#"{"to": "admin", "n": [1.50, {}, null, true]}"#.into(),
        salt: *b"0123456789abcdef",
        leaf: Some(1904),
    }
}

pub(crate) fn row() -> impl Strategy<Value = Row> {
    let time = time::MIN..=time::MAX;
    (
        1..=i64::MAX,
        [text(), text(), text(), text()],
        [time.clone(), time],
        option::of(text()),
        vec(text(), 0..5),
        vec(option::of(text()), 7),
        details(),
        any::<[u8; 16]>(),
        option::of(0..=i64::MAX.cast_unsigned()),
    )
        .prop_map(|(id, head, times, actor, targets, source, details, salt, leaf)| Row {
            id,
            head,
            times,
            actor,
            targets,
            source,
            details,
            salt,
            leaf,
        })
}

fn text() -> impl Strategy<Value = String> {
    vec(prop_oneof![any::<char>(), prop::char::range('\0', '\u{80}')], 0..12).prop_map(String::from_iter)
}

fn details() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        r"-?(0|[1-9][0-9]{0,9})\.[0-9]{1,9}",
        text().prop_map(|value| serde_json::to_string(&value).unwrap()),
    ];
    let value = scalar.prop_recursive(5, 20, 4, |value| {
        prop_oneof![vec(value.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(", "))), object(value),]
    });
    object(value)
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    vec((text(), value), 0..4).prop_map(|pairs| {
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| format!("{}: {value}", serde_json::to_string(key).unwrap())).collect();
        format!("{{{}}}", pairs.join(", "))
    })
}

pub(crate) fn field() -> impl Strategy<Value = Field> {
    prop::sample::select(&Field::ALL[..])
}
