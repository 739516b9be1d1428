//! How long events of a workspace are kept.

use std::error::Error;
use std::fmt;

use deadpool_postgres::Client;
use serde::{Serialize, Serializer};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use utoipa::ToSchema;

use crate::error::{ApiError, Code};
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;
use crate::text::shorten;
use crate::time::Time;

/// A length of whole months and days. Its text is one that PostgreSQL reads as an interval: `13 months`, `6 years`, `90 days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    months: i32,
    days: i32,
}

/// Retention of a workspace, and what is stored of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct State {
    /// Workspace.
    pub workspace: String,
    /// How long its events are kept, counted from the day (UTC) they occurred on.
    #[schema(value_type = String, example = "13 months")]
    pub retention: Retention,
    /// Presets of the same length.
    #[schema(example = json!(["default"]))]
    pub presets: Vec<String>,
    /// When it was set; null where the default is in force.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// Who set it; null where the default is in force.
    pub set_by: Option<String>,
    /// Events that are kept, expired ones under legal hold included; null, as the next three, where there are too many to be
    /// counted in time.
    pub events: Option<i64>,
    /// Their size in bytes, without indexes.
    pub bytes: Option<i64>,
    /// When the oldest occurred; null also where there is none.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest: Option<Time>,
    /// Expired events, which nobody is shown any more, that maintenance has yet to remove.
    pub to_remove: Option<i64>,
    /// Active legal holds.
    pub legal_holds: i64,
}

/// A retention by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preset {
    /// Name.
    #[schema(example = "hipaa")]
    pub preset: String,
    /// Its length.
    #[schema(value_type = String, example = "6 years")]
    pub retention: Retention,
    /// Where it comes from.
    pub source: String,
}

/// What retention is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A length, as PostgreSQL reads an interval.
    Length(String),
    /// That of a preset.
    Preset(String),
}

/// Retention of a workspace and what is stored of it.
///
/// # Errors
/// `invalid_value` where that is no name of a workspace, and those of the database.
pub async fn read(client: Client, workspace: &str) -> Result<State, ApiError> {
    let statement = client.prepare_cached(STATE).await?;
    match client.query_one(&statement, &[&workspace]).await.map_err(ApiError::from) {
        Ok(row) => state(&row),
        // It reads all events of the workspace, which may be too many. What is set is known all the same.
        Err(error) if error.code() == Code::Timeout => {
            let statement = client.prepare_cached(SETTING).await?;
            state(&client.query_one(&statement, &[&workspace]).await?)
        }
        Err(error) => Err(error),
    }
}

/// The presets that there are, the shortest first.
///
/// # Errors
/// Those of the database.
pub async fn presets(client: Client) -> Result<Vec<Preset>, ApiError> {
    let statement = client.prepare_cached(PRESETS).await?;
    let mut presets = Vec::new();
    for row in client.query(&statement, &[]).await? {
        presets.push(Preset { preset: row.try_get(0)?, retention: row.try_get(1)?, source: row.try_get(2)? });
    }
    Ok(presets)
}

/// Sets the retention of a workspace; an event names `actor`.
///
/// # Errors
/// `invalid_value` where the text is no length of time, there is no such preset, or that is no name of a workspace;
/// `invalid_retention`; `database_unavailable` where maintenance runs for long; others of the database.
pub async fn set(
    client: &mut Client,
    context: &RequestContext,
    actor: &str,
    workspace: &str,
    choice: &Choice,
) -> Result<(), ApiError> {
    let transaction = audit_trail::begin(client, context, actor).await?;
    let (statement, text) = match choice {
        Choice::Length(text) => {
            let read = transaction.query_one("SELECT $1::text::interval", &[text]).await.map_err(ApiError::from);
            read.map_err(|error| if error.code() == Code::InvalidValue { not_a_length(text, error) } else { error })?;
            ("SELECT audit.set_retention($1, $2::text::interval)", text)
        }
        Choice::Preset(name) => ("SELECT audit.set_retention($1, audit.preset($2))", name),
    };
    let set = transaction.query_one(statement, &[&workspace, text]).await.map_err(ApiError::from);
    set.map_err(|error| if error.code() == Code::InvalidRetention { error.with_hint(LENGTHS) } else { error })?;
    audit_trail::commit(transaction).await
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
            return Err("a retention that is not of whole months and days".into());
        };
        let (days, months) = rest.split_first_chunk::<4>().ok_or("an interval is too short")?;
        Ok(Self { months: i32::from_be_bytes(months.try_into()?), days: i32::from_be_bytes(*days) })
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }
}

/// The database's own hint is for those who write SQL.
const LENGTHS: &str =
    "Whole months and days from 60 days to 100 years, such as \"13 months\" or \"90 days\", are possible.";

/// By their texts, which are equal where months and days are: as intervals, 30 days would equal a month.
const STATE: &str = "SELECT r.*, ARRAY(SELECT p.preset FROM audit.retention_preset p \
                     WHERE p.retention::text = r.retention::text ORDER BY p.preset) AS presets FROM audit.retention($1) r";

/// The same without what has to be counted.
const SETTING: &str = "SELECT s.*, ARRAY(SELECT p.preset FROM audit.retention_preset p \
                       WHERE p.retention::text = s.retention::text ORDER BY p.preset) AS presets, \
                       NULL::bigint AS events, NULL::bigint AS bytes, NULL::timestamptz AS oldest, NULL::bigint AS to_remove, \
                       (SELECT count(*) FROM audit.legal_hold h WHERE h.workspace = s.workspace AND h.released_at IS NULL) \
                       AS legal_holds \
                       FROM audit.retention_setting($1) s";

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
