//! How far events are protected.

use super::zone::Zone;
use crate::error::ApiError;
use crate::events::row::EventRow;
use crate::http::state::AppState;
use crate::time::Time;

/// How far an event is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The event has no leaf yet.
    #[default]
    Waiting,
    /// The event has a leaf.
    Sealed,
    /// A signed checkpoint covers the event.
    Signed,
}

/// The protection of one event, in words.
pub struct Protection {
    pub state: State,
    pub text: String,
    pub leaf: Option<i64>,
}

impl State {
    /// Returns the name of the style.
    pub fn style(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sealed => "sealed",
            Self::Signed => "signed",
        }
    }

    /// Returns the state in a few words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Waiting => "Not sealed yet",
            Self::Sealed => "Sealed, not signed yet",
            Self::Signed => "Sealed and signed",
        }
    }

    fn new(leaf: Option<i64>, signed_at: Option<Time>) -> Self {
        match (leaf, signed_at) {
            (None, _) => Self::Waiting,
            (Some(_), None) => Self::Sealed,
            (Some(_), Some(_)) => Self::Signed,
        }
    }
}

/// Returns the time at which an event was recorded, if this is much later than it occurred, for example by an import.
/// Nothing protected the event before.
pub fn recorded_late(event: &EventRow<'_>) -> Option<Time> {
    let delay = event.recorded_at.micros().saturating_sub(event.occurred_at.micros());
    (delay > LATE).then_some(event.recorded_at)
}

/// Returns the states of events of a workspace, in their order.
///
/// # Errors
/// Returns the errors of the database.
pub async fn of_events(state: &AppState, workspace: &str, ids: &[i64]) -> Result<Vec<State>, ApiError> {
    let client = state.client().await?;
    let statement = client.prepare_cached(PROTECTION).await?;
    let rows = client.query(&statement, &[&workspace, &ids]).await?;
    rows.iter().map(|row| Ok(State::new(row.try_get(0)?, row.try_get(2)?))).collect()
}

/// Returns the protection of an event.
///
/// # Errors
/// Returns the errors of the database.
pub async fn of_event(state: &AppState, workspace: &str, id: i64, zone: &Zone) -> Result<Protection, ApiError> {
    let client = state.client().await?;
    let statement = client.prepare_cached(PROTECTION).await?;
    let row = client.query_one(&statement, &[&workspace, &[id].as_slice()]).await?;
    let (leaf, recorded, signed): (Option<i64>, Option<Time>, Option<Time>) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let at = |time| zone.show(time).full();
    let text = match (leaf, recorded, signed) {
        (None, ..) => WAITING.to_owned(),
        (Some(_), _, Some(signed)) => format!(
            "A checkpoint signed on {} covers this event. A holder of that checkpoint or of a later one can detect any change \
             of the event, even a change by the administrator of the database.",
            at(signed)
        ),
        (Some(_), Some(recorded), None) => format!(
            "The state of the log that holds this event was recorded on {}. A check of the database detects a change. No \
             signed checkpoint covers the event yet.",
            at(recorded)
        ),
        (Some(_), None, None) => UNRECORDED.to_owned(),
    };
    Ok(Protection { state: State::new(leaf, signed), text, leaf })
}

/// An hour, in microseconds.
const LATE: i64 = 3_600_000_000;

const WAITING: &str = "The event is stored, but it is not in the log of its workspace yet. This usually takes a second. Reload \
                       this page to see whether it has changed.";

const UNRECORDED: &str = "The event is in the log of its workspace, so a check of the database detects a change. No signed \
                          checkpoint covers the event yet.";

const PROTECTION: &str = "SELECT leaf, recorded_at, signed_at FROM audit.protection($1, $2)";
