//! summary.csv, which counts the events of each actor.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use super::Definition;
use crate::events::csv_cell::defuse;
use crate::events::row::EventRow;
use crate::outcome::Outcome;
use crate::time::Time;

/// Maximum number of actors that are counted separately.
pub(super) const MAX_ACTORS: usize = 100_000;

/// Maximum estimated memory of these counts, in bytes.
const MAX_BYTES: usize = 24 << 20;

/// Estimated memory of an entry of the map besides the actor and the counters, in bytes.
const ENTRY_BYTES: usize = 144;

/// Counts by actor, in limited memory. Actors beyond the limit are counted together.
pub(super) struct Summary {
    definition: Arc<Definition>,
    actors: HashMap<Box<str>, Tally>,
    bytes: usize,
    without_actor: Tally,
    others: Tally,
}

impl Summary {
    /// Creates a summary without events.
    pub fn new(definition: Arc<Definition>) -> Self {
        let tally = Tally::new(&definition);
        Self { definition, actors: HashMap::new(), bytes: 0, without_actor: tally.clone(), others: tally }
    }

    /// Counts an event.
    pub fn add(&mut self, row: &EventRow<'_>) {
        self.count(row.actor, row.action, row.category, row.outcome, row.occurred_at);
    }

    fn count(&mut self, actor: Option<&str>, action: &str, category: &str, outcome: &str, occurred_at: Time) {
        let definition = Arc::clone(&self.definition);
        let add = |tally: &mut Tally| tally.add(&definition, action, category, outcome, occurred_at);
        let Some(actor) = actor else {
            return add(&mut self.without_actor);
        };
        if let Some(tally) = self.actors.get_mut(actor) {
            return add(tally);
        }
        let bytes = ENTRY_BYTES + actor.len() + 8 * definition.summary.len();
        if self.actors.len() == MAX_ACTORS || self.bytes + bytes > MAX_BYTES {
            return add(&mut self.others);
        }
        self.bytes += bytes;
        let mut tally = Tally::new(&definition);
        add(&mut tally);
        self.actors.insert(actor.into(), tally);
    }

    /// Returns the number of actors with their own line.
    pub fn actors(&self) -> usize {
        self.actors.len()
    }

    /// Returns the number of events in the line for other actors.
    pub fn events_of_other_actors(&self) -> u64 {
        self.others.events
    }

    /// Writes the table: actors in the order of their bytes, then events without an actor, then the other actors.
    ///
    /// # Errors
    /// Returns the errors of `out`.
    pub fn write_csv(&self, out: impl Write) -> io::Result<()> {
        let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        csv.write_record(
            ["actor", "events"]
                .into_iter()
                .chain(Outcome::ALL.map(Outcome::as_str))
                .chain(self.definition.summary.iter().map(|column| column.column.as_str()))
                .chain(["first_occurred_at", "last_occurred_at"]),
        )?;
        let mut actors: Vec<_> = self.actors.iter().collect();
        actors.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for (actor, tally) in actors {
            csv.write_record(tally.cells(&defuse(actor)))?;
        }
        for (label, tally) in [("(no actor)", &self.without_actor), ("(other actors)", &self.others)] {
            if tally.events > 0 {
                csv.write_record(tally.cells(label))?;
            }
        }
        csv.flush()?;
        Ok(())
    }
}

#[derive(Clone)]
struct Tally {
    events: u64,
    outcomes: [u64; Outcome::ALL.len()],
    columns: Box<[u64]>,
    span: Option<(Time, Time)>,
}

impl Tally {
    fn new(definition: &Definition) -> Self {
        Self {
            events: 0,
            outcomes: [0; Outcome::ALL.len()],
            columns: vec![0; definition.summary.len()].into(),
            span: None,
        }
    }

    fn add(&mut self, definition: &Definition, action: &str, category: &str, outcome: &str, occurred_at: Time) {
        self.events += 1;
        if let Some(at) = Outcome::ALL.iter().position(|known| known.as_str() == outcome) {
            self.outcomes[at] += 1;
        }
        for (count, column) in self.columns.iter_mut().zip(&definition.summary) {
            *count += u64::from(column.counts(action, category, outcome));
        }
        let (first, last) = self.span.unwrap_or((occurred_at, occurred_at));
        self.span = Some((first.min(occurred_at), last.max(occurred_at)));
    }

    fn cells(&self, actor: &str) -> Vec<String> {
        let mut cells = vec![actor.to_owned(), self.events.to_string()];
        cells.extend(self.outcomes.iter().chain(self.columns.iter()).map(u64::to_string));
        cells.extend(self.span.into_iter().flat_map(|(first, last)| [first.to_string(), last.to_string()]));
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::super::Definitions;
    use super::*;

    fn summary() -> Summary {
        let definitions = Definitions::built_in().unwrap();
        Summary::new(Arc::clone(definitions.find("access-review").unwrap()))
    }

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000).unwrap()
    }

    fn text(summary: &Summary) -> String {
        let mut out = Vec::new();
        summary.write_csv(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn counts_per_actor() {
        let mut summary = summary();
        summary.count(Some("dana"), "login_failed", "auth", "failure", at(2));
        summary.count(Some("dana"), "login_succeeded", "auth", "success", at(3));
        summary.count(Some("=cmd|x"), "user_role_changed", "admin", "success", at(1));
        summary.count(None, "login_failed", "auth", "denied", at(0));
        assert_eq!(
            text(&summary),
            "actor,events,success,failure,denied,logins,failed_logins,sso_callbacks,mfa_enrolments,password_changes,\
             sessions_invalidated,role_changes,first_occurred_at,last_occurred_at\r\n\
             '=cmd|x,1,1,0,0,0,0,0,0,0,0,1,1970-01-01T00:00:01.000000Z,1970-01-01T00:00:01.000000Z\r\n\
             dana,2,1,1,0,1,1,0,0,0,0,0,1970-01-01T00:00:02.000000Z,1970-01-01T00:00:03.000000Z\r\n\
             (no actor),1,0,0,1,0,1,0,0,0,0,0,1970-01-01T00:00:00.000000Z,1970-01-01T00:00:00.000000Z\r\n"
        );
    }

    #[test]
    fn nothing_is_a_heading() {
        assert_eq!(text(&summary()).lines().count(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut summary = summary();
        for n in 0..30_000 {
            let actor = format!("{n:01000}");
            summary.count(Some(&actor), "login_succeeded", "auth", "success", at(n));
        }
        assert!(summary.actors() < 25_000, "{}", summary.actors());
        assert_eq!(summary.events_of_other_actors() + summary.actors() as u64, 30_000);
        assert!(text(&summary).contains("\r\n(other actors),"));
    }

    #[test]
    fn actors_are_bounded() {
        let mut summary = summary();
        for n in 0..100_007 {
            summary.count(Some(&n.to_string()), "login_succeeded", "auth", "success", at(n));
        }
        assert!(summary.actors() <= MAX_ACTORS);
        assert_eq!(summary.events_of_other_actors() + summary.actors() as u64, 100_007);
    }
}
