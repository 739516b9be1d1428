//! How the log gets on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::GenericClient;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;

/// How the log gets on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// All checks are well.
    pub ok: bool,
    /// Each check.
    pub checks: Vec<StatusCheck>,
    /// Seconds since maintenance has last run to its end; none where it never has.
    #[serde(skip)]
    pub maintenance_age: Option<f64>,
}

/// A point of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusCheck {
    /// What it is about.
    #[schema(example = "maintenance")]
    pub name: String,
    /// Well; where not, someone has to look.
    pub ok: bool,
    /// How it stands.
    pub value: String,
    /// What to do, where it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Tells the operator, through the log, what is not well: once an hour, however often it is looked at. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct StatusLog {
    last: Arc<Mutex<Option<Instant>>>,
}

/// Asks the database.
///
/// # Errors
/// Those of the database.
pub async fn read(client: &impl GenericClient) -> Result<Status, ApiError> {
    let statement = client.prepare_cached(STATUS).await?;
    let mut status = Status { ok: true, checks: Vec::new(), maintenance_age: None };
    for row in client.query(&statement, &[]).await? {
        let ok = row.try_get("ok")?;
        let hint: Option<String> = row.try_get("hint")?;
        let age: Option<f64> = row.try_get("age")?;
        status.ok &= ok;
        status.maintenance_age = status.maintenance_age.or(age);
        let (name, value) = (row.try_get("name")?, row.try_get("value")?);
        status.checks.push(StatusCheck { name, ok, value, hint: hint.filter(|_| !ok) });
    }
    Ok(status)
}

impl Status {
    /// The checks that are not well.
    pub fn failing(&self) -> impl Iterator<Item = &StatusCheck> {
        self.checks.iter().filter(|check| !check.ok)
    }

    /// What maintenance could not do in its last run, and why.
    pub fn waiting_for(&self) -> Option<&str> {
        self.failing().find(|check| check.name == "maintenance waits").map(|check| check.value.as_str())
    }
}

impl StatusLog {
    /// Logs what is not well, unless that was done within the last hour.
    pub fn note(&self, status: &Status) {
        let failing: Vec<String> = status.failing().map(|check| format!("{}: {}", check.name, check.value)).collect();
        if !failing.is_empty() && self.is_time() {
            tracing::warn!(
                checks = failing.join("; "),
                "the log needs someone to look at it: audit-sidecar status tells what to do"
            );
        }
    }

    fn is_time(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < HOUR) {
            return false;
        }
        *last = Some(Instant::now());
        true
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

const STATUS: &str = "SELECT s.name, s.ok, s.value, s.hint, CASE WHEN s.name = 'maintenance' THEN \
                      extract(epoch FROM clock_timestamp() - (SELECT m.last_run_at FROM audit.maintenance m))::float8 END AS age \
                      FROM audit.status() s";

#[cfg(test)]
mod tests {
    use super::StatusLog;

    #[test]
    fn it_is_told_once_an_hour() {
        let log = StatusLog::default();
        let told: Vec<bool> = (0..3).map(|_| log.clone().is_time()).collect();
        assert_eq!(told, [true, false, false]);
    }
}
