//! The outcome of an event.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Outcome of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The action succeeded.
    Success,
    /// The action was attempted and failed.
    Failure,
    /// The action was refused.
    Denied,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Denied];

    /// The texts of all outcomes.
    pub const NAMES: [&str; 3] = [Self::Success.as_str(), Self::Failure.as_str(), Self::Denied.as_str()];

    /// Returns the text that an event holds.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
        }
    }
}
