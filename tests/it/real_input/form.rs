//! The forms in which events come out, brought to one.

use serde_json::Value;

use crate::real_input::naive::Expected;

/// An event as it came out: its number, and what can be compared with the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub id: i64,
    pub event: Expected,
}

/// A row of `audit.events`, as `to_jsonb` gives it.
pub fn from_sql(row: &Value) -> Seen {
    read(row, row)
}

/// An event of REST, or of a pack: what says where it came from stands apart.
pub fn from_json(event: &Value) -> Seen {
    read(event, &event["source"])
}

/// A row of CSV below its header.
pub fn from_csv(header: &[String], row: &[String]) -> Seen {
    assert_eq!(header.len(), row.len(), "{row:?}");
    let pairs = header.iter().zip(row).map(|(name, cell)| {
        // A cell that a spreadsheet would run has an apostrophe before it.
        let mut rest = cell.chars();
        let defused =
            rest.next() == Some('\'') && matches!(rest.next(), Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n'));
        let cell = if defused { &cell[1..] } else { cell.as_str() };
        assert!(!cell.starts_with(['=', '+', '-', '@']) || defused, "{name}: {cell} is a formula");
        let value = match name.as_str() {
            "id" => Value::from(cell.parse::<i64>().unwrap()),
            "targets" | "details" => {
                serde_json::from_str(cell).unwrap_or_else(|error| panic!("{name}: {error}: {cell}"))
            }
            _ if cell.is_empty() => Value::Null,
            _ => Value::from(cell),
        };
        (name.clone(), value)
    });
    let row = Value::Object(pairs.collect());
    read(&row, &row)
}

fn read(event: &Value, source: &Value) -> Seen {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let must = |key: &str| text(&event[key]).unwrap_or_else(|| panic!("no {key} in {event}"));
    Seen {
        id: event["id"].as_i64().unwrap_or_else(|| panic!("no id in {event}")),
        event: Expected {
            key: text(&event["details"]["eventID"]).unwrap_or_default(),
            workspace: must("workspace"),
            category: must("category"),
            action: must("action"),
            outcome: must("outcome"),
            actor: text(&event["actor"]),
            targets: serde_json::from_value(event["targets"].clone()).unwrap(),
            ip: text(&source["ip"]),
            user_agent: text(&source["user_agent"]),
            request_id: text(&source["request_id"]),
            details: event["details"].clone(),
        },
    }
}
