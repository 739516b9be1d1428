//! Leaves whose events were removed, the events that record their removal, and the time in which they were recorded.

use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;

use serde::Deserialize;

use super::log::SYSTEM_WORKSPACE;
use crate::tree::MAX_SIZE;
use crate::{Field, Line, string, time};

/// The action of the events that record removals.
const ACTION: &str = "events_removed";

/// The shortest time for which events are kept, less a day for clocks that differ, in microseconds.
const LEAST_RETENTION: i64 = 59 * 86_400_000_000;

/// Maximum number of retentions that are kept for the reader.
const MOST_RETENTIONS: usize = 10;

/// The removed leaves of a pack.
#[derive(Debug, Default)]
pub(super) struct Removals {
    runs: Vec<Run>,
    is_sorted: bool,
    records: Vec<Record>,
}

/// Consecutive removed leaves, and the known leaves beside them.
#[derive(Debug)]
struct Run {
    leaves: Range<u64>,
    /// The last known leaf before, and its time of the record.
    before: Option<(u64, i64)>,
    /// The first known leaf after, and its time of the record.
    after: Option<(u64, i64)>,
}

/// An event that records a removal.
#[derive(Debug)]
struct Record {
    kept_since: i64,
    retention: String,
    leaves: Vec<Range<u64>>,
}

/// The numbers of removed leaves.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub removed: u64,
    pub unexplained: u64,
    pub possibly_in_period: u64,
    /// The retentions that explain the removals, in the words of the log.
    pub retentions: Vec<String>,
}

impl Removals {
    /// Adds a removed leaf. All of them must be added before the known leaves.
    pub fn add(&mut self, leaf: u64) {
        match self.runs.last_mut() {
            Some(last) if last.leaves.end == leaf => last.leaves.end += 1,
            _ => self.runs.push(Run { leaves: leaf..leaf + 1, before: None, after: None }),
        }
        self.is_sorted = false;
    }

    /// Takes notice of a known leaf and the time at which it was recorded, in microseconds since 1970-01-01T00:00:00Z.
    pub fn see(&mut self, leaf: u64, recorded_at: i64) {
        if self.runs.is_empty() {
            return;
        }
        if !self.is_sorted {
            self.sort();
        }
        let next = self.runs.partition_point(|run| run.leaves.start <= leaf);
        if let Some(run) = self.runs.get_mut(next)
            && run.before.is_none_or(|(known, _)| known <= leaf)
        {
            run.before = Some((leaf, recorded_at));
        }
        if let Some(run) = next.checked_sub(1).and_then(|last| self.runs.get_mut(last))
            && run.after.is_none_or(|(known, _)| known >= leaf)
        {
            run.after = Some((leaf, recorded_at));
        }
    }

    /// Takes an event of the pack, which may record a removal.
    pub fn record(&mut self, line: &Line<'_>) {
        if self.runs.is_empty() || line.action() != ACTION || line.category() != SYSTEM_WORKSPACE {
            return;
        }
        let details = line.shown(Field::Details);
        self.records.extend(details.and_then(|details| Record::parse(details, line.recorded_at())));
    }

    /// Counts the leaves. `period` is in microseconds since 1970-01-01T00:00:00Z.
    pub fn counts(&mut self, period: &Range<i64>) -> Counts {
        self.sort();
        let mut counts = Counts::default();
        for run in &self.runs {
            let leaves = run.leaves.end - run.leaves.start;
            counts.removed += leaves;
            let is_later = run.before.is_some_and(|(_, at)| at >= period.end);
            let is_earlier = run.after.is_some_and(|(_, at)| at < period.start);
            counts.possibly_in_period += if is_later || is_earlier { 0 } else { leaves };
        }
        counts.unexplained = counts.removed - self.explained(&mut counts.retentions);
        counts
    }

    /// Returns the number of leaves that the records explain. For each part of a run, the record with the latest
    /// `kept_since` decides.
    fn explained(&self, retentions: &mut Vec<String>) -> u64 {
        let ranges = self.records.iter().enumerate();
        let mut ranges: Vec<(usize, &Range<u64>)> =
            ranges.flat_map(|(number, record)| record.leaves.iter().map(move |range| (number, range))).collect();
        ranges.sort_unstable_by_key(|(_, range)| range.start);
        let mut coming = ranges.into_iter().peekable();
        // The ranges that have begun, by their `kept_since`.
        let mut begun = BinaryHeap::new();
        let mut explained = 0;
        for run in &self.runs {
            let mut at = run.leaves.start;
            while at < run.leaves.end {
                while let Some((number, range)) = coming.next_if(|(_, range)| range.start <= at) {
                    begun.push((self.records[number].kept_since, range.end, number));
                }
                while begun.peek().is_some_and(|(_, end, _)| *end <= at) {
                    begun.pop();
                }
                let next = coming.peek().map_or(run.leaves.end, |(_, range)| range.start.min(run.leaves.end));
                let top = begun.peek().copied();
                let due = top.filter(|(kept_since, ..)| run.before.is_none_or(|(_, at)| at < *kept_since));
                let Some((_, end, number)) = due else {
                    at = next;
                    continue;
                };
                let end = end.min(next);
                explained += end - at;
                at = end;
                let retention = &self.records[number].retention;
                if retentions.len() < MOST_RETENTIONS && !retentions.contains(retention) {
                    retentions.push(retention.clone());
                }
            }
        }
        explained
    }

    /// Sorts and joins the runs. A leaf that occurs twice is another check's problem.
    fn sort(&mut self) {
        if self.is_sorted {
            return;
        }
        self.runs.sort_unstable_by_key(|run| run.leaves.start);
        self.runs.dedup_by(|run, last| {
            let joins = run.leaves.start <= last.leaves.end;
            if joins {
                last.leaves.end = last.leaves.end.max(run.leaves.end);
            }
            joins
        });
        self.is_sorted = true;
    }
}

#[derive(Deserialize)]
struct Details {
    retention: String,
    kept_since: String,
    last_time: String,
    events: u64,
    leaves: Vec<(u64, u64)>,
}

impl Record {
    /// Returns none if the details do not have the form of a removal, or contradict themselves.
    fn parse(details: &str, recorded_at: i64) -> Option<Self> {
        if repeats_key(details) {
            return None;
        }
        let details: Details = serde_json::from_str(details).ok()?;
        let kept_since = time::from_text(details.kept_since.as_bytes())?;
        let last_time = time::from_text(details.last_time.as_bytes())?;
        let ascend = details.leaves.iter().all(|(first, beyond)| first < beyond && *beyond <= MAX_SIZE)
            && details.leaves.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        let leaves: Vec<Range<u64>> = details.leaves.iter().map(|(first, beyond)| *first..*beyond).collect();
        let events = || leaves.iter().try_fold(0_u64, |sum, range| sum.checked_add(range.end - range.start));
        let holds = ascend
            && events() == Some(details.events)
            && last_time < kept_since
            && kept_since <= recorded_at - LEAST_RETENTION;
        holds.then_some(Self { kept_since, retention: details.retention, leaves })
    }
}

/// Returns whether an object in the details of a line repeats a key. Equal strings have equal raw texts there.
fn repeats_key(details: &str) -> bool {
    let bytes = details.as_bytes();
    // The keys of each object that is open. An open array has none.
    let mut open: Vec<Option<HashSet<&str>>> = Vec::new();
    let (mut at, mut expects_key) = (0, false);
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' => open.push(Some(HashSet::new())),
            b'[' => open.push(None),
            b'}' | b']' => drop(open.pop()),
            b'"' => match string::end(bytes, start) {
                Ok(end) => at = end,
                Err(_) => return true,
            },
            _ => {}
        }
        if let (b'"', true, Some(Some(keys))) = (byte, expects_key, open.last_mut())
            && !keys.insert(&details[start..at])
        {
            return true;
        }
        let begins = matches!(byte, b'{' | b',') && matches!(open.last(), Some(Some(_)));
        expects_key = begins || (expects_key && *byte == b' ');
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn removals(leaves: &[u64], known: &[(u64, i64)], records: Vec<Record>) -> Removals {
        let mut removals = Removals::default();
        leaves.iter().for_each(|leaf| removals.add(*leaf));
        known.iter().for_each(|(leaf, at)| removals.see(*leaf, *at));
        removals.records = records;
        removals
    }

    fn record(kept_since: i64, leaves: &[Range<u64>]) -> Record {
        Record { kept_since, retention: "60 days".to_owned(), leaves: leaves.to_vec() }
    }

    #[test]
    fn leaves_are_explained_by_records_that_came_late_enough() {
        let leaves = [3, 1, 2, 7, 8, 20];
        let known = [(30, 90), (0, 5), (9, 50), (6, 40), (4, 30), (19, 80)];
        let explained = |records| removals(&leaves, &known, records).counts(&(0..100)).unexplained;
        assert_eq!(explained(vec![]), 6);
        assert_eq!(explained(vec![record(6, std::slice::from_ref(&(0..9)))]), 3, "leaf 6 was recorded at 40");
        assert_eq!(explained(vec![record(41, std::slice::from_ref(&(0..9)))]), 1);
        assert_eq!(explained(vec![record(99, &[1..3, 8..9]), record(99, &[2..4, 7..21])]), 0);
    }

    #[test]
    fn many_records_and_runs_take_no_product_of_their_numbers() {
        let leaves: Vec<u64> = (0..200_000).map(|n| 2 * n).collect();
        let known: Vec<(u64, i64)> = leaves.iter().map(|leaf| (leaf + 1, 5)).collect();
        let records = (0..20_000).map(|n| record(1 + n % 10, std::slice::from_ref(&(0..400_000)))).collect();
        assert_eq!(removals(&leaves, &known, records).counts(&(0..1)).unexplained, 0);
    }

    #[test]
    fn neighbours_bound_the_time_of_removed_leaves() {
        let possible = |period: Range<i64>| removals(&[1, 2, 5], &[(0, 10), (3, 20), (6, 40)], vec![]).counts(&period);
        assert_eq!(possible(0..10).possibly_in_period, 0);
        assert_eq!(possible(0..11).possibly_in_period, 2);
        assert_eq!(possible(20..21).possibly_in_period, 3);
        assert_eq!(possible(21..22).possibly_in_period, 1);
        assert_eq!(possible(41..50).possibly_in_period, 0);
        assert_eq!(removals(&[1], &[], vec![]).counts(&(0..1)).possibly_in_period, 1);
    }

    #[test]
    fn repeated_keys_are_found_at_any_depth() {
        for text in [r#"{"a": 1, "a": 2}"#, r#"{"x": [{"b": {"c": 1, "d": [], "c": {}}}]}"#] {
            assert!(repeats_key(text), "{text}");
        }
        for text in
            [r#"{"a": "a", "b": ["a", "a", {"a": 1}], "c": {"a": "b"}}"#, "{}", r#"{"a": [[], ["a", "a"]], "b": {}}"#]
        {
            assert!(!repeats_key(text), "{text}");
        }
        let depth = 100_000;
        let deep = format!(r#"{{"a": {}{{"a": 1, "a": 2}}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(repeats_key(&deep));
    }

    #[test]
    fn records_must_agree_with_themselves() {
        let details = |kept: &str, last: &str, events: u64, leaves: &str| {
            let text = format!(
                r#"{{"events": {events}, "leaves": {leaves}, "last_time": "{last}", "retention": "60 days", "kept_since": "{kept}"}}"#
            );
            Record::parse(&text, time::from_text(b"2026-03-10T00:00:00.000000Z").unwrap() + 7 * DAY / 24).is_some()
        };
        let [kept, last] = ["2026-01-09T00:00:00.000000Z", "2026-01-08T23:59:59.999999Z"];
        assert!(details(kept, last, 3, "[[1, 3], [3, 4]]"));
        assert!(!details(kept, last, 4, "[[1, 3], [3, 4]]"));
        assert!(!details(kept, last, 4, "[[1, 3], [2, 4]]"));
        assert!(!details(kept, last, 0, "[[3, 3]]"));
        assert!(!details(kept, last, 3, "[[1, 3, 4], [3, 4]]"));
        assert!(!details(kept, kept, 3, "[[1, 4]]"), "an event was not due");
        assert!(!details("2026-01-11T00:00:00.000000Z", last, 3, "[[1, 4]]"), "shorter than any retention");
        assert!(!details("2026-01-09", last, 3, "[[1, 4]]"));
    }
}
