//! Health checks of the audit log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::GenericClient;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::postgres::version;

/// The health checks of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// Whether all checks pass.
    pub ok: bool,
    /// The result of each check.
    pub checks: Vec<StatusCheck>,
    /// Seconds since maintenance last ran to completion. It is none if maintenance has never completed.
    #[serde(skip)]
    pub maintenance_age: Option<f64>,
}

/// The result of one check.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusCheck {
    /// Name of the check.
    #[schema(example = "maintenance")]
    pub name: String,
    /// Whether the check passes. If not, the operator must act.
    pub ok: bool,
    /// State that the check found.
    pub value: String,
    /// Action for the operator. It is present only if the check fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Writes failing checks to the sidecar log, at most once an hour. Clones share the time of the last entry.
#[derive(Clone, Debug, Default)]
pub struct StatusLog {
    last: Arc<Mutex<Option<Instant>>>,
}

/// Runs the checks in the database.
///
/// # Errors
/// Returns the errors of the database.
pub async fn read(client: &impl GenericClient) -> Result<Status, ApiError> {
    let statement = client.prepare_cached(STATUS).await?;
    let mut status = Status { ok: true, checks: Vec::new(), maintenance_age: None };
    for row in client.query(&statement, &[]).await? {
        let ok = row.try_get("ok")?;
        let hint: Option<String> = row.try_get("hint")?;
        let age: Option<f64> = row.try_get("age")?;
        status.maintenance_age = status.maintenance_age.or(age);
        let (name, value) = (row.try_get("name")?, row.try_get("value")?);
        status.push(StatusCheck { name, ok, value, hint: hint.filter(|_| !ok) });
    }
    let extension = status.checks.iter().find(|check| check.name == "SQL").map(|check| check.value.clone());
    status.push(sidecar(extension.as_deref()));
    Ok(status)
}

/// Checks that the sidecar goes with the extension.
fn sidecar(extension: Option<&str>) -> StatusCheck {
    let problem = extension.and_then(version::mismatch);
    StatusCheck { name: "sidecar".to_owned(), ok: problem.is_none(), value: version::OWN.to_owned(), hint: problem }
}

impl Status {
    fn push(&mut self, check: StatusCheck) {
        self.ok &= check.ok;
        self.checks.push(check);
    }

    /// Returns the checks that fail.
    pub fn failing(&self) -> impl Iterator<Item = &StatusCheck> {
        self.checks.iter().filter(|check| !check.ok)
    }

    /// Returns the obstacles that maintenance met in its last run.
    pub fn waiting_for(&self) -> Option<&str> {
        self.failing().find(|check| check.name == "maintenance waits").map(|check| check.value.as_str())
    }
}

impl StatusLog {
    /// Writes failing checks to the sidecar log, unless this was done within the last hour.
    pub fn note(&self, status: &Status) {
        let failing: Vec<String> = status.failing().map(|check| format!("{}: {}", check.name, check.value)).collect();
        if !failing.is_empty() && self.is_time() {
            tracing::warn!(
                checks = failing.join("; "),
                "health checks of the audit log fail: run audit-sidecar status to see what to do"
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
        let logged: Vec<bool> = (0..3).map(|_| log.clone().is_time()).collect();
        assert_eq!(logged, [true, false, false]);
    }
}
