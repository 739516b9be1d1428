//! The result of the verification of a pack.

use audit_proof::pack::{Limit, Outcome, Problems, Verdict};
use serde::Serialize;

use crate::pack::manifest::Manifest;
use crate::time::Time;

/// Result of the verification of a pack.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The pack's claims about itself. None if they cannot be read.
    pub manifest: Option<Manifest>,
    /// Whether the definition is a built-in one.
    pub is_built_in: bool,
    /// What the pack proves. None if its events or its proof have a defect.
    pub verdict: Option<Verdict>,
    /// Defects of the pack.
    pub problems: Problems,
    /// Signature of the checkpoint.
    pub signature: Option<Signature>,
    /// Cosignatures of the trusted witnesses.
    pub witnesses: Vec<WitnessSignature>,
    /// Whether the reader gave keys.
    pub has_given_keys: bool,
}

/// The status of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The pack shows every event that it selects.
    Complete,
    /// The pack proves what it shows, but not that nothing is missing.
    Partial,
    /// The pack proves nothing.
    Unproven,
    /// The pack breaks a rule.
    Invalid,
}

/// A valid signature of a key of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key.
    pub key: String,
    /// Where the key is known from.
    pub source: KeySource,
}

/// Where a key is known from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The reader gave the key.
    Given,
    /// The pack names the key, and the reader knows it by this name.
    Known(String),
    /// Only the pack names the key.
    Pack,
}

/// A valid cosignature of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessSignature {
    /// The key.
    pub key: String,
    /// Time of the cosignature.
    pub at: Option<Time>,
}

impl Report {
    /// Returns the status.
    pub fn status(&self) -> Status {
        let (Some(verdict), Some(manifest), true) = (&self.verdict, &self.manifest, self.problems.is_empty()) else {
            return Status::Invalid;
        };
        match verdict.outcome(manifest.period.until.micros()) {
            Outcome::Complete => Status::Complete,
            Outcome::Partial => Status::Partial,
            Outcome::Unproven => Status::Unproven,
        }
    }

    /// Returns the reasons why the pack is only partial.
    pub fn limits(&self) -> Vec<Limit> {
        match (&self.verdict, &self.manifest, self.status()) {
            (Some(verdict), Some(manifest), Status::Partial) => verdict.limits(manifest.period.until.micros()),
            _ => Vec::new(),
        }
    }

    /// Returns whether the reader knows the key that signed.
    pub fn is_key_confirmed(&self) -> bool {
        self.signature.as_ref().is_some_and(|signature| signature.source != KeySource::Pack)
    }
}

impl Status {
    /// Returns the word that begins a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "COMPLETE",
            Self::Partial => "PARTIAL",
            Self::Unproven => "UNPROVEN",
            Self::Invalid => "INVALID",
        }
    }
}
