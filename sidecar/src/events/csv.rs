//! Events as a CSV table for spreadsheets, in packs and in streams.

use std::borrow::Cow;

use audit_proof::{Field, Line};

use crate::error::ApiError;
use crate::events::csv_cell::{self, BYTE_ORDER_MARK, defuse};
use crate::events::row::EventRow;

/// Appends the byte order mark and the header row.
pub fn write_header(out: &mut Vec<u8>) {
    out.extend_from_slice(BYTE_ORDER_MARK);
    csv_cell::write_row(COLUMNS, out);
}

/// Appends the event as a row, with cells defused. The targets are a JSON array in one cell, so that a target with a
/// space stays one target. The details are the text in the database.
///
/// # Errors
/// Fails if the targets cannot be written as JSON, which does not happen in practice.
pub fn write_row(event: &EventRow<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
    let is_shown = |field: Field| !event.salt.is_redacted(field);
    let targets = serde_json::to_string(&event.targets).map_err(ApiError::internal)?;
    let source = [
        event.ip.as_deref(),
        event.user_agent,
        event.session_id,
        event.request_id,
        Some(event.database_user),
        event.application_name,
        event.client_addr.as_deref(),
    ];
    let [occurred_at, recorded_at] = [event.occurred_at, event.recorded_at].map(|time| time.to_string());
    let head = [event.workspace, &occurred_at, &recorded_at, event.category, event.action, event.outcome];
    let fields = Fields {
        actor: is_shown(Field::Actor).then(|| event.actor.unwrap_or_default()),
        targets: is_shown(Field::Targets).then_some(&targets),
        source: is_shown(Field::Source).then(|| source.map(Option::unwrap_or_default)),
        details: is_shown(Field::Details).then_some(event.details),
    };
    write(event.id, head, &fields, out);
    Ok(())
}

/// Appends the event of a line as the row that [`write_row`] writes for it. A stub has empty cells.
pub fn write_line(line: &Line<'_>, out: &mut Vec<u8>) {
    let time = |micros| audit_proof::time::to_text(micros).map(|text| String::from_utf8_lossy(&text).into_owned());
    let [occurred_at, recorded_at] = [line.occurred_at(), line.recorded_at()].map(|at| time(at).unwrap_or_default());
    let [workspace, category, action, outcome] = [line.workspace(), line.category(), line.action(), line.outcome()];
    let actor = line.actor().map(Option::unwrap_or_default);
    let source = line.source().map(|values| values.map(Option::unwrap_or_default));
    let head = [&*workspace, &occurred_at, &recorded_at, &category, &action, &outcome];
    let fields = Fields {
        actor: actor.as_deref(),
        targets: line.shown(Field::Targets),
        source: source.as_ref().map(|values| values.each_ref().map(|value| &**value)),
        details: line.shown(Field::Details),
    };
    write(line.id(), head, &fields, out);
}

/// The four fields of an event that can be withheld.
struct Fields<'a> {
    actor: Option<&'a str>,
    targets: Option<&'a str>,
    source: Option<[&'a str; 7]>,
    details: Option<&'a str>,
}

fn write(id: i64, head: [&str; 6], fields: &Fields<'_>, out: &mut Vec<u8>) {
    let Fields { actor, targets, source, details } = *fields;
    let is_shown = |field| match field {
        Field::Actor => actor.is_some(),
        Field::Targets => targets.is_some(),
        Field::Source => source.is_some(),
        Field::Details => details.is_some(),
    };
    let withheld: Vec<&str> = Field::ALL.into_iter().filter(|field| !is_shown(*field)).map(Field::name).collect();
    let id = id.to_string();
    let withheld = withheld.join(" ");
    let cells = head.into_iter().chain([actor.unwrap_or_default(), targets.unwrap_or_default()]);
    let cells = cells.chain(source.unwrap_or_default()).chain([details.unwrap_or_default()]).map(defuse);
    let cells: Vec<Cow<'_, str>> = cells.collect();
    csv_cell::write_row(std::iter::once(&*id).chain(cells.iter().map(|cell| &**cell)).chain([&*withheld]), out);
}

const COLUMNS: [&str; 18] = [
    "id",
    "workspace",
    "occurred_at",
    "recorded_at",
    "category",
    "action",
    "outcome",
    "actor",
    "targets",
    "ip",
    "user_agent",
    "session_id",
    "request_id",
    "database_user",
    "application_name",
    "client_addr",
    "details",
    "withheld",
];
