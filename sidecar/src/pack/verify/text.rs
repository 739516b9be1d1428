//! The report of a pack as text. Strings from the pack are quoted, shortened, and on lines of their own.

use std::fmt::{self, Display, Formatter};

use audit_proof::Field;
use audit_proof::pack::{Claim, Fault, Group, Limit, Verdict};

use super::report::{KeySource, Report, Status};
use crate::pack::definition::Lists;
use crate::pack::manifest::{Manifest, Unclassified, Values};
use crate::text::{first_chars, printable, quoted, quoted_start};
use crate::time::Time;

/// Writes several lines. The first one begins with the status.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.write_str(status.as_str())?;
        let is_key_unconfirmed = self.signature.is_some() && !self.is_key_confirmed();
        if is_key_unconfirmed && status != Status::Invalid {
            f.write_str(" (KEY NOT CONFIRMED)")?;
        }
        let Some(manifest) = &self.manifest else { return write_problems(self, f) };
        let (workspace, pack) = (quoted_start(&manifest.workspace), quoted(manifest.definition.name.as_str()));
        write!(f, "  workspace {workspace}, pack {pack}, {}", period(manifest))?;
        if status == Status::Invalid {
            return write_problems(self, f);
        }
        if is_key_unconfirmed {
            f.write_str("\nWhat follows holds only if the key below is the right one. Only the pack itself names it.")?;
        }
        write!(f, "\n{}", summary(status))?;
        for limit in self.limits() {
            write!(f, "\n{}", why_partial(limit))?;
        }
        match self.verdict.as_ref().map_or(0, |verdict| verdict.possibly_in_period) {
            0 => {}
            some => write!(
                f,
                "\nUp to {} from the period no longer exist. Nobody can tell whether the pack would have selected them.",
                amount(some, "event")
            )?,
        }
        write_selection(self, manifest, f)?;
        if let Some(verdict) = &self.verdict {
            write_events(verdict, manifest, f)?;
        }
        write_signatures(self, f)?;
        f.write_str("\n\nNot proven\n  Nothing shows that the application recorded everything.")?;
        write_to_do(self, f)
    }
}

fn summary(status: Status) -> &'static str {
    match status {
        Status::Complete => {
            "The pack shows every event that it selects and that the log still holds. Each is unchanged since it was recorded."
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
        Limit::Removed => "  Events were removed, and the pack does not prove that they were old enough to be removed.",
    }
}

fn write_selection(report: &Report, manifest: &Manifest, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("\n\nSelected")?;
    let definition = &manifest.definition;
    if report.is_built_in {
        write!(
            f,
            "\n  The pack is built in, in version {}. The operator cannot change its rules.",
            definition.version
        )?;
    } else {
        f.write_str("\n  The pack is not built in. Its maker wrote its rules. Decide whether they suffice for you.")?;
    }
    if definition.include.is_empty() {
        f.write_str("\n  It selects every event of the workspace in the period.")?;
    } else {
        f.write_str("\n  It selects the events of the period that match at least one of these rules.")?;
    }
    for (number, rule) in (1..).zip(&definition.include) {
        write!(f, "\n  Rule {number}")?;
        write_lists("The", rule.lists(), f)?;
    }
    if definition.tags.iter().next().is_some() {
        f.write_str("\n  The maker of the pack lists the actions of the tags.")?;
        if report.is_built_in {
            f.write_str(" All built-in actions of each tag are among them.")?;
        }
    }
    for (tag, actions) in definition.tags.iter() {
        write!(f, "\n    Tag {}", quoted_start(tag))?;
        write_values(&actions.iter().cloned().collect::<Vec<_>>(), f)?;
    }
    if !report.is_built_in && !definition.summary.is_empty() {
        f.write_str("\n  Its maker also wrote what the columns of summary.csv count.")?;
        for column in &definition.summary {
            write!(f, "\n    {}", quoted(column.column.as_str()))?;
            write_lists("if the", column.lists(), f)?;
        }
    }
    if !manifest.filters.is_empty() {
        f.write_str("\n  Its maker says that of these, it selects only the events that match every filter.")?;
    }
    for (name, values) in &manifest.filters {
        write!(f, "\n    {}", quoted_start(name))?;
        match values {
            Values::One(value) => write_values(std::slice::from_ref(value), f)?,
            Values::Several(values) => write_values(values, f)?,
        }
    }
    let Unclassified { events, actions } = &manifest.unclassified;
    if *events > 0 {
        let events = amount(*events, "event");
        write!(f, "\n  Its maker says that {events} of its period and filters have an action without a tag.")?;
        f.write_str("\n  A rule that selects by tags does not select them. The actions are")?;
        write_values(&actions.keys().cloned().collect::<Vec<_>>(), f)?;
    }
    Ok(())
}

fn write_lists(begin: &str, lists: Lists<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    for (name, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
        write!(f, "\n    {begin} {name} is one of")?;
        write_values(values, f)?;
    }
    Ok(())
}

/// Maximum number of values in a list.
const MOST_VALUES: usize = 50;

fn write_values(values: &[String], f: &mut Formatter<'_>) -> fmt::Result {
    for value in values.iter().take(MOST_VALUES) {
        write!(f, "\n      {}", quoted_start(value))?;
    }
    match values.len().saturating_sub(MOST_VALUES) {
        0 => Ok(()),
        more => write!(f, "\n      and {more} more"),
    }
}

fn write_events(verdict: &Verdict, manifest: &Manifest, f: &mut Formatter<'_>) -> fmt::Result {
    let counts = &manifest.counts;
    write!(f, "\n\nShown\n  {}", amount(verdict.shown, "event"))?;
    if let (Some(first), Some(last)) = (counts.first, counts.last) {
        write!(f, ", from {} to {}", first.occurred_at, last.occurred_at)?;
    }
    if let Some(at) = verdict.complete_until.and_then(Time::from_micros) {
        write!(f, "\n  Events that entered the log after {at} are not covered, even if they occurred in the period.")?;
    }
    if verdict.claim == Some(Claim::Complete) {
        write!(
            f,
            "\n  The rules or the period exclude {} in this part of the log.",
            amount(verdict.stubs, "other event")
        )?;
        f.write_str("\n  The pack shows the kind, the outcome and the time of these, but not who did what.")?;
    }
    f.write_str("\n\nWithheld")?;
    if verdict.incomplete == 0 {
        f.write_str("\n  Nothing.")?;
    } else {
        let of = amount(verdict.shown, "event");
        write!(f, "\n  {} of {of} have fields whose content you do not see.", verdict.incomplete)?;
        f.write_str("\n  It was erased from the log, or left out of this pack. The check cannot tell which.")?;
    }
    for (field, count) in Field::ALL.iter().zip(verdict.withheld).filter(|(_, count)| *count > 0) {
        write!(f, "\n  The field {} is not shown in {}.", field.name(), amount(count, "event"))?;
    }
    match verdict.claim {
        None => Ok(()),
        Some(Claim::Inclusion) => f.write_str("\n\nRemoved\n  A pack with filters does not show this."),
        Some(Claim::Complete) => write_removed(verdict, f),
    }
}

fn write_removed(verdict: &Verdict, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("\n\nRemoved")?;
    if verdict.removed == 0 {
        return f.write_str("\n  Nothing.");
    }
    let Verdict { removed, unexplained, possibly_in_period, .. } = *verdict;
    write!(f, "\n  {} no longer in the log. The content is unknown.", are(removed, "event"))?;
    write!(
        f,
        "\n  By the times of their neighbours, at most {possibly_in_period} of them were recorded in the period."
    )?;
    if removed > unexplained {
        write!(f, "\n  Proven to be past the retention: {}. The log gives the retention as", removed - unexplained)?;
        write_values(&verdict.retentions, f)?;
    }
    if unexplained > 0 {
        write!(f, "\n  Not proven: {unexplained}. The pack does not show that these were old enough to be removed.")?;
    }
    Ok(())
}

fn write_signatures(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let Some(signature) = &report.signature else {
        let unused = "\n\nSigned\n  The keys that you gave were not used: the pack has no signature.";
        return if report.has_given_keys { f.write_str(unused) } else { Ok(()) };
    };
    write!(f, "\n\nSigned\n  The log signed with the key\n    {}", quoted(&signature.key))?;
    match &signature.source {
        KeySource::Given => f.write_str("\n  You gave this key, and it matches."),
        KeySource::Known(name) => write!(f, "\n  You know this key as\n    {}", quoted_start(name)),
        KeySource::Pack => {
            f.write_str("\n  Only the pack itself names this key. Anyone can make a pack with a key of their own.")
        }
    }?;
    for witness in &report.witnesses {
        write!(f, "\n  A witness cosigned with the key\n    {}", quoted(&witness.key))?;
        if let Some(at) = witness.at {
            write!(f, "\n    at {at}")?;
        }
    }
    Ok(())
}

fn write_to_do(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let verdict = report.verdict.as_ref();
    let limits = report.limits();
    let is_removed = verdict.is_some_and(|verdict| verdict.possibly_in_period > 0);
    let steps = [
        (
            report.signature.is_some() && !report.is_key_confirmed(),
            "Compare this key with one that you got elsewhere, and give that one with --key.",
        ),
        (report.status() == Status::Unproven, "Ask for a pack with a proof."),
        (limits.contains(&Limit::End), "Ask for the pack again. A later one can cover the whole period."),
        (is_removed, "If you need the removed events, ask for an archive, or for a pack that was made earlier."),
        (limits.contains(&Limit::Removed), "Ask why these events were removed. The log may still record it."),
        (!report.is_built_in, "Read the rules of the pack. They decide which events you see."),
        (
            report.manifest.as_ref().is_some_and(|manifest| manifest.unclassified.events > 0),
            "Ask what the actions without a tag are. The pack may lack events that you expect.",
        ),
        (verdict.is_some_and(|verdict| verdict.incomplete > 0), "Ask which fields are withheld, and why."),
        (true, "Compare workspace, pack and period in the first line with what you requested."),
    ];
    f.write_str("\n\nLeft for you to do")?;
    steps.iter().filter(|(applies, _)| *applies).try_for_each(|(_, step)| write!(f, "\n  {step}"))
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
        let own = report.manifest.as_ref().and_then(|manifest| manifest.key.as_deref());
        if let (Fault::Checkpoint, true, Some(own)) = (fault, report.has_given_keys, own) {
            f.write_str(
                "\n  Check first whether you gave the right key. Do not take it from the pack, which names the key",
            )?;
            write!(f, "\n    {}", quoted(first_chars(own, 300)))?;
        }
    }
    f.write_str("\n\nLeft for you to do\n  Keep the file, and ask for the pack again.")
}

fn period(manifest: &Manifest) -> String {
    // The time of day is omitted for midnight.
    format!("from {} until before {} (UTC)", manifest.period.since, manifest.period.until)
        .replace("T00:00:00.000000Z", "")
}

fn amount(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn are(count: u64, what: &str) -> String {
    format!("{} {}", amount(count, what), if count == 1 { "is" } else { "are" })
}
