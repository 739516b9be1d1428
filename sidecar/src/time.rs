//! Points in time: microseconds since 1970, UTC, in the years 1 to 9999.

use std::error::Error as StdError;
use std::fmt;

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::text::{quoted, shorten};

/// A point in time. Its text is RFC 3339, UTC, with six decimals: `2026-03-01T08:00:00.000000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    micros: i64,
}

/// The error for a text that is not a time. Its message is for the user who wrote the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a time in the years 1 to 9999. Write RFC 3339 such as 2026-03-01T08:00:00Z, or a date such as 2026-03-01 (midnight UTC)"
)]
pub struct NotATime(String);

impl Time {
    /// Returns the time that is this many microseconds after 1970-01-01T00:00:00Z, if it is in the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (audit_proof::time::MIN..=audit_proof::time::MAX).contains(&micros).then_some(Self { micros })
    }

    /// Returns the microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.micros
    }

    /// Returns the time of this machine's clock.
    pub fn now() -> Self {
        Self { micros: jiff::Timestamp::now().as_microsecond() }
    }

    /// Parses RFC 3339 with any offset, or a date, which stands for its midnight in UTC.
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let wrong = || NotATime(shorten(text).to_owned());
        // The parts are used because a jiff::Timestamp ends before the year 9999 does.
        let parts = jiff::fmt::temporal::Pieces::parse(text).map_err(|_| wrong())?;
        let days = jiff::civil::date(1970, 1, 1).until(parts.date()).map_err(|_| wrong())?.get_days();
        let midnight = i64::from(days) * MICROS_PER_DAY;
        let micros = match (parts.time(), parts.to_numeric_offset(), parts.time_zone_annotation()) {
            (None, None, None) => midnight,
            (Some(time), Some(offset), None) => {
                let of_day = jiff::civil::Time::midnight().until(time).map_err(|_| wrong())?;
                let of_day = of_day.total(jiff::Unit::Microsecond).map_err(|_| wrong())?;
                midnight + of_day as i64 - i64::from(offset.seconds()) * MICROS_PER_SECOND
            }
            _ => return Err(wrong()),
        };
        Self::from_micros(micros).ok_or_else(wrong)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither step fails: every value is within the range that has a text, and the text is ASCII.
        let text = audit_proof::time::to_text(self.micros).ok_or(fmt::Error)?;
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Accepts only the text that this type writes. Other programs might interpret other forms differently.
impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = audit_proof::time::from_text(text.as_bytes()).and_then(Self::from_micros);
        time.ok_or_else(|| serde::de::Error::custom(format!("{} is not a time of this form", quoted(&text))))
    }
}

impl<'a> FromSql<'a> for Time {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?).checked_add(POSTGRES_EPOCH);
        micros.and_then(Self::from_micros).ok_or_else(|| "a time outside the years 1 to 9999".into())
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

impl ToSql for Time {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.put_i64(self.micros - POSTGRES_EPOCH);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// 2000-01-01T00:00:00Z, the epoch of PostgreSQL.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn what_is_read_is_written_in_utc() {
        for (given, written) in [
            ("2026-03-01", "2026-03-01T00:00:00.000000Z"),
            ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00.000000Z"),
            ("2026-03-01T08:00:00.123456+02:00", "2026-03-01T06:00:00.123456Z"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
            ("9999-12-31", "9999-12-31T00:00:00.000000Z"),
        ] {
            assert_eq!(Time::parse(given).unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in
            ["", "now", "infinity", "2026-02-30", "2026-03-01T08:00:00", "300000-01-01T00:00:00Z", "1", "0000-01-01"]
        {
            assert!(Time::parse(wrong).is_err(), "{wrong}");
        }
    }
}
