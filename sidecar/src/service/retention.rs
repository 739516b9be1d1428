//! Retention: how long the events of a workspace are kept.

use std::error::Error;
use std::fmt;

use deadpool_postgres::{Client, GenericClient};
use serde::{Serialize, Serializer};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use utoipa::ToSchema;

use crate::error::{ApiError, Code};
use crate::postgres::pool::Database;
use crate::postgres::types::Date;
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;
use crate::text::shorten;
use crate::time::Time;

/// A length of whole months and days. Its text is valid as an interval of PostgreSQL: `13 months`, `6 years`, `90
/// days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    months: i32,
    days: i32,
}

/// Retention of a workspace, and statistics of its events.
#[derive(Debug, Serialize, ToSchema)]
pub struct State {
    /// Workspace.
    pub workspace: String,
    /// Retention of the events, counted from the day (UTC) on which they occurred.
    #[schema(value_type = String, example = "13 months")]
    pub retention: Retention,
    /// Presets with the same retention.
    #[schema(example = json!(["default"]))]
    pub presets: Vec<String>,
    /// Time at which the retention was set. It is null if the default applies.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// Actor that set the retention. It is null if the default applies.
    pub set_by: Option<String>,
    /// Number of events that are kept, including expired ones under legal hold. This and the next three fields are null
    /// if the events cannot be counted in time.
    pub events: Option<i64>,
    /// Size of these events in bytes, without indexes.
    pub bytes: Option<i64>,
    /// Time of the oldest event. It is null if there is none.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest: Option<Time>,
    /// Number of expired events that maintenance has not removed yet. Queries do not return them.
    pub to_remove: Option<i64>,
    /// Number of active legal holds.
    pub legal_holds: i64,
}

/// A named retention.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preset {
    /// Name.
    #[schema(example = "hipaa")]
    pub preset: String,
    /// Retention of the preset.
    #[schema(value_type = String, example = "6 years")]
    pub retention: Retention,
    /// Law or standard that the preset is taken from.
    pub source: String,
}

/// The events that would expire under a retention.
#[derive(Debug)]
pub struct Preview {
    /// The retention.
    pub retention: Retention,
    /// First day (UTC) whose events would be kept today.
    pub first_kept_day: Date,
    /// The events that would be hidden at once.
    pub at_once: Count,
    /// The events of each month, from the present one on.
    pub months: Vec<Month>,
}

/// The events whose last day is in one month.
#[derive(Debug)]
pub struct Month {
    /// First day of the month.
    pub month: Date,
    /// First day (UTC) on which these events occurred. It is none if no day is affected.
    pub first_day: Option<Date>,
    /// Last day (UTC) on which these events occurred.
    pub last_day: Option<Date>,
    /// Number of the events.
    pub events: Count,
}

/// A number of events.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// The number.
    pub events: i64,
    /// Whether the events were counted, and not estimated.
    pub is_exact: bool,
}

/// The retention to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A length, as PostgreSQL reads an interval.
    Length(String),
    /// The retention of a preset.
    Preset(String),
}

/// Reads the retention of a workspace and the statistics of its events.
///
/// # Errors
/// Fails with `invalid_value` if the workspace's name is not valid, or with other errors of the database.
pub async fn read(client: Client, workspace: &str) -> Result<State, ApiError> {
    let statement = client.prepare_cached(STATE).await?;
    match client.query_one(&statement, &[&workspace]).await.map_err(ApiError::from) {
        Ok(row) => state(&row),
        // The query reads all events of the workspace, which may take too long. The setting itself is still known.
        Err(error) if error.code() == Code::Timeout => setting(client, workspace).await,
        Err(error) => Err(error),
    }
}

/// Reads the retention of a workspace, without the statistics of its events.
///
/// # Errors
/// Returns the same errors as [`read`].
pub async fn setting(client: Client, workspace: &str) -> Result<State, ApiError> {
    let statement = client.prepare_cached(SETTING).await?;
    state(&client.query_one(&statement, &[&workspace]).await?)
}

/// Returns the events that would expire under a retention, or under the one in force, within the coming twelve months.
///
/// # Errors
/// Returns the same errors as [`set`], and `timeout` if there are too many events under legal hold to tell them apart in
/// time.
pub async fn preview(client: Client, workspace: &str, choice: Option<&Choice>) -> Result<Preview, ApiError> {
    let text = match choice {
        Some(choice) => Some(interval(&client, choice).await?),
        None => None,
    };
    let statement = client.prepare_cached(PREVIEW).await?;
    let rows = client.query(&statement, &[&workspace, &text]).await.map_err(ApiError::from);
    let rows =
        rows.map_err(|error| if error.code() == Code::InvalidRetention { error.with_hint(LENGTHS) } else { error })?;
    let (mut at_once, mut months) = (Count { events: 0, is_exact: true }, Vec::new());
    for row in rows {
        let events = Count { events: row.try_get("events")?, is_exact: row.try_get("is_exact")? };
        match row.try_get("month")? {
            None => at_once = events,
            Some(month) => {
                let (first_day, last_day) = (row.try_get("first_day")?, row.try_get("last_day")?);
                months.push(Month { month, first_day, last_day, events });
            }
        }
    }
    let first_kept_day = months.first().and_then(|month| month.first_day);
    let first_kept_day = first_kept_day.ok_or_else(|| ApiError::internal("the present month has no first kept day"))?;
    let statement = client
        .prepare_cached("SELECT coalesce($2::text::interval, s.retention) FROM audit.retention_setting($1) s")
        .await?;
    let retention = client.query_one(&statement, &[&workspace, &text]).await?.try_get(0)?;
    Ok(Preview { retention, first_kept_day, at_once, months })
}

/// Returns the presets, shortest first.
///
/// # Errors
/// Returns the errors of the database.
pub async fn presets(client: Client) -> Result<Vec<Preset>, ApiError> {
    let statement = client.prepare_cached(PRESETS).await?;
    let mut presets = Vec::new();
    for row in client.query(&statement, &[]).await? {
        presets.push(Preset { preset: row.try_get(0)?, retention: row.try_get(1)?, source: row.try_get(2)? });
    }
    Ok(presets)
}

/// Sets the retention of a workspace. An event records it with `actor`.
///
/// # Errors
/// Fails with `invalid_value` if the length, the name of the preset or the name of the workspace is not valid. Fails with
/// `invalid_retention` if the length is out of range, and with `database_unavailable` if maintenance runs for long. Returns
/// other errors of the database.
pub async fn set(
    database: &Database,
    context: &RequestContext,
    actor: &str,
    workspace: &str,
    choice: &Choice,
) -> Result<(), ApiError> {
    let change = |mut client: Client| async move {
        let transaction = audit_trail::begin(&mut client, context, actor).await?;
        let text = interval(&transaction, choice).await?;
        let statement = "SELECT audit.set_retention($1, $2::text::interval)";
        let set = transaction.query_one(statement, &[&workspace, &text]).await.map_err(ApiError::from);
        set.map_err(|error| if error.code() == Code::InvalidRetention { error.with_hint(LENGTHS) } else { error })?;
        audit_trail::commit(transaction).await
    };
    database.write(change).await
}

/// Returns a retention as the text of an interval.
async fn interval(client: &impl GenericClient, choice: &Choice) -> Result<String, ApiError> {
    match choice {
        Choice::Length(text) => {
            let read = client.query_one("SELECT $1::text::interval::text", &[text]).await.map_err(ApiError::from);
            let read = read
                .map_err(|error| if error.code() == Code::InvalidValue { not_a_length(text, error) } else { error });
            Ok(read?.try_get(0)?)
        }
        Choice::Preset(name) => Ok(client.query_one("SELECT audit.preset($1)::text", &[name]).await?.try_get(0)?),
    }
}

fn not_a_length(text: &str, error: ApiError) -> ApiError {
    error.with_message(format!("retention \"{}\" is not a length of time", shorten(text))).with_hint(LENGTHS)
}

fn state(row: &Row) -> Result<State, ApiError> {
    Ok(State {
        workspace: row.try_get("workspace")?,
        retention: row.try_get("retention")?,
        presets: row.try_get("presets")?,
        since: row.try_get("since")?,
        set_by: row.try_get("set_by")?,
        events: row.try_get("events")?,
        bytes: row.try_get("bytes")?,
        oldest: row.try_get("oldest")?,
        to_remove: row.try_get("to_remove")?,
        legal_holds: row.try_get("legal_holds")?,
    })
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = |number: i32, unit: &str| format!("{number} {unit}{}", if number.abs() == 1 { "" } else { "s" });
        let (months, days) = (self.months, self.days);
        let months = match months {
            0 => None,
            _ if months % 12 == 0 => Some(unit(months / 12, "year")),
            _ => Some(unit(months, "month")),
        };
        match (months, days) {
            (None, _) => f.write_str(&unit(days, "day")),
            (Some(months), 0) => f.write_str(&months),
            (Some(months), _) => write!(f, "{months} {}", unit(days, "day")),
        }
    }
}

impl Serialize for Retention {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'a> FromSql<'a> for Retention {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let Some((&[0, 0, 0, 0, 0, 0, 0, 0], rest)) = raw.split_first_chunk::<8>() else {
            return Err("a retention does not consist of whole months and days".into());
        };
        let (days, months) = rest.split_first_chunk::<4>().ok_or("an interval is too short")?;
        Ok(Self { months: i32::from_be_bytes(months.try_into()?), days: i32::from_be_bytes(*days) })
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }
}

/// Replaces the database's own hint, which is written for users of SQL.
const LENGTHS: &str = "Use whole months and days, from 60 days to 100 years, such as \"13 months\" or \"90 days\".";

/// Compares the texts of intervals, because 30 days equal one month as intervals.
const STATE: &str = "SELECT r.*, ARRAY(SELECT p.preset FROM audit.retention_preset p \
                     WHERE p.retention::text = r.retention::text ORDER BY p.preset) AS presets FROM audit.retention($1) r";

/// Omits the values that have to be counted.
const SETTING: &str = "SELECT s.*, ARRAY(SELECT p.preset FROM audit.retention_preset p \
                       WHERE p.retention::text = s.retention::text ORDER BY p.preset) AS presets, \
                       NULL::bigint AS events, NULL::bigint AS bytes, NULL::timestamptz AS oldest, NULL::bigint AS to_remove, \
                       (SELECT count(*) FROM audit.legal_hold h WHERE h.workspace = s.workspace AND h.released_at IS NULL) \
                       AS legal_holds \
                       FROM audit.retention_setting($1) s";

const PREVIEW: &str =
    "SELECT month, first_day, last_day, events, is_exact FROM audit.preview_retention($1, $2::text::interval)";

const PRESETS: &str = "SELECT preset, retention, source FROM audit.retention_preset ORDER BY retention, preset";

#[cfg(test)]
mod tests {
    use tokio_postgres::types::{FromSql, Type};

    use super::Retention;

    #[test]
    fn lengths_are_written_as_postgresql_reads_them() {
        for (months, days, text) in [
            (13, 0, "13 months"),
            (72, 0, "6 years"),
            (12, 0, "1 year"),
            (1, 1, "1 month 1 day"),
            (4, -29, "4 months -29 days"),
            (0, 90, "90 days"),
            (0, 0, "0 days"),
        ] {
            assert_eq!(Retention { months, days }.to_string(), text);
        }
    }

    #[test]
    fn an_interval_is_read_where_it_is_of_months_and_days() {
        let raw = |micros: i64, days: i32, months: i32| {
            [&micros.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat()
        };
        let read = |raw: &[u8]| Retention::from_sql(&Type::INTERVAL, raw).ok();
        assert_eq!(read(&raw(0, -29, 4)), Some(Retention { months: 4, days: -29 }));
        assert_eq!(read(&raw(1, 0, 13)), None);
        assert_eq!(read(&raw(0, 0, 13)[..11]), None);
    }
}
