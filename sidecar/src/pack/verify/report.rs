use std::fmt::{self, Write};

use audit_proof::pack::{Claim, Problems, Verdict};
use serde_json::{Value, json};

use super::claim::Claimed;
use crate::text::printable;
use crate::time::Time;

/// Result of the verification of a pack.
#[derive(Clone, Debug)]
pub struct Report {
    /// The pack's claims about itself.
    pub claimed: Claimed,
    /// Verdict on the proof. It is none if the proof has a defect.
    pub verdict: Option<Verdict>,
    /// Defects of the pack.
    pub findings: Findings,
    /// Signature of the checkpoint.
    pub signature: Option<Signature>,
    /// Valid cosignatures by trusted witnesses.
    pub witnesses: Vec<Signature>,
}

/// Defects of a pack.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Defects of files.
    pub files: Vec<String>,
    /// Defects of the proof.
    pub problems: Problems,
}

/// A valid signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name and hash of the key.
    pub key: String,
    /// Time of a witness's signature, in seconds since 1970.
    pub at: Option<u64>,
    /// Whether the key is known only from the pack itself.
    pub from_pack: bool,
}

impl Report {
    /// Returns whether the pack has no defects.
    pub fn is_valid(&self) -> bool {
        self.verdict.is_some() && self.findings.is_empty()
    }

    /// Returns whether the pack has a valid proof.
    pub fn is_proven(&self) -> bool {
        self.is_valid() && self.verdict.as_ref().is_some_and(|verdict| verdict.claim.is_some())
    }

    /// Returns the report as a JSON object.
    pub fn to_json(&self) -> Value {
        let result = match (self.is_valid(), self.is_proven()) {
            (_, true) => "valid",
            (true, false) => "not proven",
            (false, _) => "invalid",
        };
        let verdict = self.verdict.as_ref().filter(|_| self.is_valid());
        let signature = |signature: &Signature| json!({ "key": signature.key, "key_from_pack": signature.from_pack, "at": signature.at.and_then(time).map(|at| at.to_string()) });
        let problems = self
            .findings
            .problems
            .first()
            .iter()
            .map(|problem| json!({ "event": problem.event, "leaf": problem.leaf, "why": problem.why.to_string() }));
        json!({
            "result": result,
            "workspace": self.claimed.workspace,
            "pack": self.claimed.pack,
            "since": self.claimed.since,
            "until": self.claimed.until,
            "claim": verdict.and_then(|verdict| verdict.claim),
            "events": verdict.map(|verdict| verdict.shown),
            "newer": verdict.map(|verdict| verdict.newer),
            "stubs": verdict.map(|verdict| verdict.stubs),
            "removed": verdict.map(|verdict| verdict.removed),
            "leaves": verdict.map(|verdict| json!([verdict.leaves.start, verdict.leaves.end])),
            "head_recorded_at": verdict.and_then(|verdict| verdict.head_at).and_then(Time::from_micros),
            "signature": self.signature.as_ref().map(signature),
            "witnesses": self.witnesses.iter().map(signature).collect::<Vec<_>>(),
            "files": self.findings.files,
            "problems": problems.collect::<Vec<_>>(),
            "problem_count": self.findings.problems.count(),
        })
    }

    fn write_verdict(&self, verdict: &Verdict, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { shown, newer, stubs, removed, leaves, .. } = verdict;
        match verdict.claim {
            None => {
                return write!(f, "{shown} events, no proof: nothing shows that they are unchanged and complete");
            }
            Some(Claim::Inclusion) => write!(
                f,
                "{shown} events, each in the workspace log; the pack does not prove that no other event matches the filters"
            )?,
            Some(Claim::Complete) => {
                write!(f, "{shown} events, complete: {shown} shown + {stubs} stubs + {removed} removed")?;
                match leaves.end.checked_sub(1).filter(|last| *last >= leaves.start) {
                    Some(last) => write!(f, " = leaves {}..{last}", leaves.start)?,
                    None => f.write_str(" = no leaves")?,
                }
            }
        }
        if *newer > 0 {
            write!(f, "; {newer} events newer than the last checkpoint, not proven")?;
        }
        if *removed > 0 {
            f.write_str("; nothing is known about removed events except their number")?;
        }
        let complete_until =
            verdict.head_at.filter(|_| verdict.claim == Some(Claim::Complete)).and_then(Time::from_micros);
        if let Some(at) = complete_until.filter(|at| *at < self.claimed.until) {
            write!(f, "; only up to {at}, when the head was recorded")?;
        }
        if let Some(signature) = &self.signature {
            write!(f, "; signed by {}", signature.key)?;
            if signature.from_pack {
                f.write_str(" (the key is from the pack itself: compare it, or give --key)")?;
            }
        }
        match self.witnesses.len() {
            0 => Ok(()),
            1 => f.write_str(", 1 witness"),
            more => write!(f, ", {more} witnesses"),
        }
    }
}

/// Writes one line. Further defects follow on separate lines.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Claimed { workspace, pack, since, until, .. } = &self.claimed;
        let mut about = format!("{} {} {since}..{until}", printable(workspace), printable(pack));
        // The time of day is omitted for midnight.
        about = about.replace("T00:00:00.000000Z", "");
        match &self.verdict {
            Some(verdict) if self.is_valid() => {
                let result = if self.is_proven() { "VALID" } else { "NOT PROVEN" };
                write!(f, "{result}  {about}: ")?;
                self.write_verdict(verdict, f)
            }
            _ => {
                let findings = self.findings.to_string();
                let mut lines = findings.lines();
                write!(f, "INVALID  {about}: {}", lines.next().unwrap_or("its proof does not hold"))?;
                lines.try_for_each(|line| write!(f, "\n  {line}"))
            }
        }
    }
}

impl Findings {
    /// Returns whether there are no defects.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.problems.count() == 0
    }
}

/// Writes one defect per line. Those of the proof come first, because they name events.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = self.problems.first().iter().map(ToString::to_string);
        let mut text = String::new();
        for line in problems.chain(self.files.iter().cloned()) {
            writeln!(text, "{}", printable(&line))?;
        }
        let more = self.problems.count() - self.problems.first().len() as u64;
        if more > 0 {
            writeln!(text, "and {more} more")?;
        }
        f.write_str(text.trim_end())
    }
}

fn time(seconds: u64) -> Option<Time> {
    Time::from_micros(i64::try_from(seconds).ok()?.checked_mul(1_000_000)?)
}
