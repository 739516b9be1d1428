//! The report of a pack as text. Strings from the pack are quoted, shortened, and on lines of their own.

use std::fmt::{self, Display, Formatter};

use audit_proof::Field;
use audit_proof::pack::{Group, Limit, Verdict};

use super::report::{KeySource, Report, Status};
use crate::pack::manifest::{Manifest, Values};
use crate::text::{first_chars, printable, quoted, quoted_start};
use crate::time::Time;

/// Writes several lines. The first one begins with the status.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.write_str(status.as_str())?;
        let Some(manifest) = &self.manifest else { return write_problems(self, f) };
        let (workspace, pack) = (quoted_start(&manifest.workspace), quoted(manifest.definition.name.as_str()));
        write!(f, "  workspace {workspace}, pack {pack}, {}", period(manifest))?;
        if status == Status::Invalid {
            return write_problems(self, f);
        }
        write!(f, "\n{}", summary(status))?;
        if self.signature.is_some() && !self.is_key_confirmed() {
            f.write_str(
                "\n  All of this holds only if the key below is the right one. Only the pack itself names it.",
            )?;
        }
        match self.verdict.as_ref().map_or(0, |verdict| verdict.possibly_in_period) {
            0 => {}
            some => write!(
                f,
                "\n  Events were removed before the pack was made. At most {some} of them were recorded in the period."
            )?,
        }
        for limit in self.limits() {
            write!(f, "\n{}", why_partial(limit))?;
        }
        write_selection(self, manifest, f)?;
        if let Some(verdict) = &self.verdict {
            write_events(verdict, manifest, f)?;
        }
        write_signatures(self, f)?;
        write_to_do(self, f)
    }
}

fn summary(status: Status) -> &'static str {
    match status {
        Status::Complete => {
            "The pack shows every event that it selects. Each is unchanged since it was recorded, and none was left out."
        }
        Status::Partial => "Each event in the pack is unchanged since it was recorded. Others may be missing:",
        Status::Unproven => {
            "The pack has no proof. Nothing shows that its events are unchanged, or that none is missing."
        }
        Status::Invalid => "Do not rely on this pack.",
    }
}

fn why_partial(limit: Limit) -> &'static str {
    match limit {
        Limit::Filters => "  Filters narrowed the pack. It cannot prove that no other event matches them.",
        Limit::End => "  The proof ends before the period does. The pack shows nothing of the time after that.",
        Limit::Removed => "  Events were removed, and the pack does not prove that they were due to be removed.",
    }
}

fn write_selection(report: &Report, manifest: &Manifest, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("\n\nSelected")?;
    let definition = &manifest.definition;
    if report.is_built_in {
        write!(
            f,
            "\n  This is a built-in pack, in version {}. Its rules are those of this program.",
            definition.version
        )?;
    } else {
        f.write_str(
            "\n  This is not a built-in pack. Its maker wrote these rules. Decide whether they suffice for you.",
        )?;
    }
    if definition.include.is_empty() {
        f.write_str("\n  The pack selects every event of the workspace in the period.")?;
    }
    for rule in &definition.include {
        f.write_str("\n  Events whose")?;
        let lists = [("action", &rule.actions), ("category", &rule.categories), ("outcome", &rule.outcomes)];
        for (at, (name, values)) in lists.into_iter().filter(|(_, values)| !values.is_empty()).enumerate() {
            write!(f, "{} {name} is one of", if at > 0 { "\n  and whose" } else { "" })?;
            write_values(values, f)?;
        }
    }
    for (name, values) in &manifest.filters {
        f.write_str("\n  Events that match the filter")?;
        write!(f, "\n    {}", quoted_start(name))?;
        f.write_str("\n  with")?;
        match values {
            Values::One(value) => write_values(std::slice::from_ref(value), f)?,
            Values::Several(values) => write_values(values, f)?,
        }
    }
    Ok(())
}

/// Maximum number of values in a list.
const MOST_VALUES: usize = 50;

fn write_values(values: &[String], f: &mut Formatter<'_>) -> fmt::Result {
    for value in values.iter().take(MOST_VALUES) {
        write!(f, "\n    {}", quoted_start(value))?;
    }
    match values.len().saturating_sub(MOST_VALUES) {
        0 => Ok(()),
        more => write!(f, "\n    and {more} more"),
    }
}

fn write_events(verdict: &Verdict, manifest: &Manifest, f: &mut Formatter<'_>) -> fmt::Result {
    let counts = &manifest.counts;
    write!(f, "\n\nShown\n  {}", amount(verdict.shown, "event"))?;
    if let (Some(first), Some(last)) = (counts.first, counts.last) {
        write!(f, ", from {} to {}", first.occurred_at, last.occurred_at)?;
    }
    if let Some(at) = verdict.complete_until.and_then(time) {
        write!(f, "\n  The proof covers everything that was recorded until {at}.")?;
        write!(f, "\n  {} in the log, which the pack shows without the content.", are(verdict.stubs, "other event"))?;
    }
    f.write_str("\n\nWithheld")?;
    if verdict.withheld == [0; 4] {
        f.write_str("\n  Nothing.")?;
    }
    for (field, count) in Field::ALL.iter().zip(verdict.withheld).filter(|(_, count)| *count > 0) {
        write!(f, "\n  The field {} is withheld or redacted in {}.", field.name(), amount(count, "event"))?;
    }
    if verdict.complete_until.is_some() {
        write_removed(verdict, f)?;
    }
    Ok(())
}

fn write_removed(verdict: &Verdict, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("\n\nRemoved")?;
    if verdict.removed == 0 {
        return f.write_str("\n  Nothing.");
    }
    let Verdict { removed, unexplained, possibly_in_period, .. } = *verdict;
    write!(f, "\n  {} no longer in the log. Nothing but the number is known.", are(removed, "event"))?;
    write!(f, "\n  At most {possibly_in_period} of them were recorded in the period.")?;
    if removed > unexplained {
        write!(f, "\n  The log records that {} past the retention, which was", were(removed - unexplained, "event"))?;
        write_values(&verdict.retentions, f)?;
    }
    if unexplained > 0 {
        write!(
            f,
            "\n  {} not shown, and said to have been removed. Nothing proves that this was due.",
            are(unexplained, "event")
        )?;
    }
    Ok(())
}

fn write_signatures(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let Some(signature) = &report.signature else { return Ok(()) };
    write!(f, "\n\nSigned with the key\n  {}", printable(&signature.key))?;
    match &signature.source {
        KeySource::Given => f.write_str("\n  You gave this key."),
        KeySource::Known(name) => write!(f, "\n  You know this key as\n    {}", quoted_start(name)),
        KeySource::Pack => {
            f.write_str("\n  Only the pack itself names this key. Anyone can make a pack with a key of their own.")
        }
    }?;
    for witness in &report.witnesses {
        write!(f, "\nCosigned by the witness with the key\n  {}", printable(&witness.key))?;
        if let Some(at) = witness.at.and_then(|at| time(i64::try_from(at).ok()?.checked_mul(1_000_000)?)) {
            write!(f, "\n  at {at}")?;
        }
    }
    Ok(())
}

fn write_to_do(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let mut to_do = Vec::new();
    if report.signature.is_some() && !report.is_key_confirmed() {
        to_do.push("Compare this key with one that you got elsewhere, and give that one with --key.");
    }
    if !report.is_built_in {
        to_do.push("Read the rules of the pack. They decide which events you see.");
    }
    to_do.push("Compare workspace, pack and period in the first line with what you asked for.");
    if report.verdict.as_ref().is_some_and(|verdict| verdict.withheld != [0; 4]) {
        to_do.push("Ask why fields were redacted. The log records each redaction.");
    }
    f.write_str("\n\nLeft for you to do")?;
    to_do.iter().try_for_each(|line| write!(f, "\n  {line}"))
}

/// Writes the defects by cause.
fn write_problems(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "\n{}", summary(Status::Invalid))?;
    for (fault, Group { first, count }) in report.problems.groups() {
        write!(f, "\n\n{}", fault.cause())?;
        for problem in first {
            write!(f, "\n  {}", first_chars(&printable(&problem.to_string()), 300))?;
        }
        match count - first.len() as u64 {
            0 => {}
            more => write!(f, "\n  and {more} more")?,
        }
    }
    Ok(())
}

fn period(manifest: &Manifest) -> String {
    // The time of day is omitted for midnight.
    format!("{} to {}", manifest.period.since, manifest.period.until).replace("T00:00:00.000000Z", "")
}

fn amount(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn are(count: u64, what: &str) -> String {
    format!("{} {}", amount(count, what), if count == 1 { "is" } else { "are" })
}

fn were(count: u64, what: &str) -> String {
    format!("{} {}", amount(count, what), if count == 1 { "was" } else { "were" })
}

/// Returns the time at this number of microseconds since 1970.
pub(super) fn time(micros: i64) -> Option<Time> {
    Time::from_micros(micros)
}
