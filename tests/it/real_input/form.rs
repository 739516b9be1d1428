//! Converts the output forms of events to one form.

use serde_json::Value;

use crate::real_input::naive::Expected;

/// An event from an output: its id, and the values to compare with the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub id: i64,
    pub event: Expected,
}

/// Reads a row of `audit.events`, converted by `to_jsonb`.
pub fn from_sql(row: &Value) -> Seen {
    read(row, row)
}

/// Reads an event of the REST API or of a pack, whose source fields are in an object of their own.
pub fn from_json(event: &Value) -> Seen {
    read(event, &event["source"])
}

/// Reads a row of CSV below its header.
pub fn from_csv(header: &[String], row: &[String]) -> Seen {
    assert_eq!(header.len(), row.len(), "{row:?}");
    let pairs = header.iter().zip(row).map(|(name, cell)| {
        // An apostrophe precedes a cell that a spreadsheet would run as a formula.
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
