//! summary.csv, which counts the events of each actor.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use audit_proof::{Field, Line};

use super::definition::{Definition, FIXED_COLUMNS};
use crate::events::csv_cell::{BYTE_ORDER_MARK, defuse};
use crate::events::row::EventRow;
use crate::outcome::Outcome;
use crate::time::Time;

/// Sum of the costs of the actors that are counted separately, at most.
const BUDGET: usize = 24_000_000;

/// Cost of an actor, in addition to its length in bytes. This is about the memory that it takes.
const ACTOR_COST: usize = 200;

/// Counts by actor, in limited memory. Actors beyond the limit are counted together.
pub(super) struct Summary {
    definition: Arc<Definition>,
    actors: HashMap<Box<str>, Tally>,
    cost: usize,
    without_actor: Tally,
    withheld: Tally,
    others: Tally,
}

/// The properties of an event that the summary counts.
struct Counted<'a> {
    /// None if the actor is withheld, and none within if the event has no actor.
    actor: Option<Option<&'a str>>,
    action: &'a str,
    category: &'a str,
    outcome: &'a str,
    occurred_at: Time,
}

impl Summary {
    /// Creates a summary without events.
    pub fn new(definition: Arc<Definition>) -> Self {
        let tally = Tally::new(&definition);
        let [without_actor, withheld, others] = [tally.clone(), tally.clone(), tally];
        Self { definition, actors: HashMap::new(), cost: 0, without_actor, withheld, others }
    }

    /// Counts an event. Events come in the order of the pack.
    pub fn add(&mut self, row: &EventRow<'_>) {
        let EventRow { actor, action, category, outcome, occurred_at, .. } = *row;
        let actor = (!row.salt.is_redacted(Field::Actor)).then_some(actor);
        self.count(&Counted { actor, action, category, outcome, occurred_at });
    }

    /// Counts the event of a line, like [`Self::add`].
    pub fn add_line(&mut self, line: &Line<'_>) {
        let Some(occurred_at) = Time::from_micros(line.occurred_at()) else { return };
        let (actor, action, category, outcome) = (line.actor(), line.action(), line.category(), line.outcome());
        let actor = actor.as_ref().map(|actor| actor.as_deref());
        let [action, category, outcome] = [&*action, &*category, &*outcome];
        self.count(&Counted { actor, action, category, outcome, occurred_at });
    }

    fn count(&mut self, event: &Counted<'_>) {
        let definition = Arc::clone(&self.definition);
        let Some(actor) = event.actor else { return self.withheld.add(&definition, event) };
        let Some(actor) = actor else { return self.without_actor.add(&definition, event) };
        if let Some(tally) = self.actors.get_mut(actor) {
            return tally.add(&definition, event);
        }
        let cost = ACTOR_COST + actor.len();
        if self.cost + cost > BUDGET {
            return self.others.add(&definition, event);
        }
        self.cost += cost;
        let mut tally = Tally::new(&definition);
        tally.add(&definition, event);
        self.actors.insert(actor.into(), tally);
    }

    /// Returns the number of actors with their own line.
    pub fn actors(&self) -> u64 {
        self.actors.len() as u64
    }

    /// Returns the number of events in the line for other actors.
    pub fn events_of_other_actors(&self) -> u64 {
        self.others.events
    }

    /// Writes the table: actors in the order of their bytes, then events without an actor, those whose actor is withheld,
    /// and those of other actors.
    ///
    /// # Errors
    /// Returns the errors of `out`.
    pub fn write_csv(&self, mut out: impl Write) -> io::Result<()> {
        out.write_all(BYTE_ORDER_MARK)?;
        let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        let (before, after) = FIXED_COLUMNS.split_at(6);
        let columns = self.definition.summary.iter().map(|column| column.column.as_str());
        csv.write_record(before.iter().copied().chain(columns).chain(after.iter().copied()))?;
        let mut actors: Vec<_> = self.actors.iter().collect();
        actors.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for (actor, tally) in actors {
            csv.write_record(tally.cells("actor", &defuse(actor)))?;
        }
        for (kind, tally) in [("none", &self.without_actor), ("withheld", &self.withheld), ("others", &self.others)] {
            if tally.events > 0 {
                csv.write_record(tally.cells(kind, ""))?;
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

    fn add(&mut self, definition: &Definition, event: &Counted<'_>) {
        let Counted { actor: _, action, category, outcome, occurred_at } = *event;
        self.events += 1;
        if let Some(at) = Outcome::ALL.iter().position(|known| known.as_str() == outcome) {
            self.outcomes[at] += 1;
        }
        for (count, column) in self.columns.iter_mut().zip(&definition.summary) {
            *count += u64::from(definition.counts(column, action, category, outcome));
        }
        let (first, last) = self.span.unwrap_or((occurred_at, occurred_at));
        self.span = Some((first.min(occurred_at), last.max(occurred_at)));
    }

    fn cells(&self, kind: &str, actor: &str) -> Vec<String> {
        let mut cells = vec![kind.to_owned(), actor.to_owned(), self.events.to_string()];
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

    fn count(summary: &mut Summary, actor: Option<&str>, action: &str, outcome: &str, occurred_at: Time) {
        summary.count(&Counted { actor: Some(actor), action, category: "auth", outcome, occurred_at });
    }

    #[test]
    fn counts_per_actor() {
        let mut summary = summary();
        count(&mut summary, Some("dana"), "login_failed", "failure", at(2));
        count(&mut summary, Some("dana"), "login_succeeded", "success", at(3));
        count(&mut summary, Some("=cmd|x"), "user_role_changed", "success", at(1));
        count(&mut summary, None, "login_failed", "denied", at(0));
        summary.count(&Counted { actor: None, action: "x", category: "y", outcome: "z", occurred_at: at(9) });
        assert_eq!(
            text(&summary),
            "\u{feff}kind,actor,events,success,failure,denied,logins,refused_logins,failed_logins,logouts,\
             single_sign_on,second_factors,credential_changes,sessions,user_changes,role_changes,first_occurred_at,last_occurred_at\r\n\
             actor,'=cmd|x,1,1,0,0,0,0,0,0,0,0,0,0,0,1,1970-01-01T00:00:01.000000Z,1970-01-01T00:00:01.000000Z\r\n\
             actor,dana,2,1,1,0,1,0,1,0,0,0,0,0,0,0,1970-01-01T00:00:02.000000Z,1970-01-01T00:00:03.000000Z\r\n\
             none,,1,0,0,1,0,0,1,0,0,0,0,0,0,0,1970-01-01T00:00:00.000000Z,1970-01-01T00:00:00.000000Z\r\n\
             withheld,,1,0,0,0,0,0,0,0,0,0,0,0,0,0,1970-01-01T00:00:09.000000Z,1970-01-01T00:00:09.000000Z\r\n"
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
            count(&mut summary, Some(&actor), "login_succeeded", "success", at(n));
        }
        assert_eq!((summary.actors(), summary.events_of_other_actors()), (20_000, 10_000));
        count(&mut summary, Some("short"), "login_succeeded", "success", at(0));
        assert_eq!(summary.events_of_other_actors(), 10_001);
        assert!(text(&summary).contains("\r\nothers,,10001,"));
    }
}
