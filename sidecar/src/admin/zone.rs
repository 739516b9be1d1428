//! The time zone of the viewer. A script stores the zone of the browser in a cookie. Without it, times are in UTC.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::Deserialize;

use super::cookie;
use super::login;
use crate::time::Time;

/// The zone in which a page shows times.
#[derive(Clone)]
pub struct Zone {
    /// Name of the zone in the IANA database.
    pub name: String,
    /// The other zone that the viewer can change to: UTC, or that of the browser.
    pub other: Option<String>,
    zone: TimeZone,
}

/// A time as a page shows it.
#[derive(Clone, Default)]
pub struct ShownTime {
    /// Date and time of day with milliseconds, in the zone of the viewer.
    pub text: String,
    /// Offset from UTC, such as `+01:00`, or `UTC`.
    pub offset: String,
    /// The time in UTC, as people read it.
    pub utc: String,
    /// The time in UTC, as programs read it.
    pub machine: String,
}

impl ShownTime {
    /// Returns the text with its offset.
    pub fn full(&self) -> String {
        format!("{} {}", self.text, self.offset)
    }

    /// Returns the same without milliseconds, if they are zero.
    pub fn short(&self) -> String {
        format!("{} {}", self.text.trim_end_matches(".000"), self.offset)
    }
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self { name: UTC.to_owned(), other: None, zone: TimeZone::UTC }
    }

    fn from_cookies(headers: &HeaderMap) -> Self {
        let browser = cookie::value(headers, ZONE_COOKIE).filter(|name| is_place(name));
        let Some((name, zone)) = browser.and_then(|name| Some((name.to_owned(), TimeZone::get(name).ok()?))) else {
            return Self::utc();
        };
        if cookie::value(headers, TIMES_COOKIE) == Some("utc") {
            return Self { other: Some(name), ..Self::utc() };
        }
        Self { name, other: Some(UTC.to_owned()), zone }
    }

    /// Returns a time as a page shows it.
    pub fn show(&self, time: Time) -> ShownTime {
        let machine = time.to_string();
        let utc = machine.get(..23).unwrap_or(&machine).replace('T', " ");
        let Some(zoned) = self.zoned(time).filter(|_| self.name != UTC) else {
            return ShownTime { text: utc.clone(), offset: UTC.to_owned(), utc: format!("{utc} UTC"), machine };
        };
        ShownTime {
            text: zoned.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
            offset: zoned.strftime("%:z").to_string(),
            utc: format!("{utc} UTC"),
            machine,
        }
    }

    /// Returns the date and the time of day of a time, to the minute.
    pub fn minute(&self, time: Time) -> String {
        self.zoned(time).map_or_else(|| time.to_string(), |zoned| zoned.strftime("%Y-%m-%d %H:%M").to_string())
    }

    /// Returns a time to the minute with its offset, such as `2026-03-01 09:00 +01:00` or `2026-03-01 08:00 UTC`.
    pub fn stamp(&self, time: Time) -> String {
        format!("{} {}", self.minute(time), self.show(time).offset)
    }

    /// Returns the text of a time without its offset, as short as it is exact. [`Zone::read`] reads it.
    pub fn text(&self, time: Time) -> String {
        let Some(zoned) = self.zoned(time) else { return time.to_string() };
        let local = zoned.datetime();
        let text = match (local.second(), local.subsec_nanosecond()) {
            (0, 0) if local.hour() == 0 && local.minute() == 0 => local.date().to_string(),
            (0, 0) => local.strftime("%Y-%m-%d %H:%M").to_string(),
            _ => local.strftime("%Y-%m-%d %H:%M:%S%.f").to_string(),
        };
        // An hour that the clocks repeat has two times for one text.
        if self.read(&text) == Some(time) { text } else { time.to_string() }
    }

    /// Reads a date or a time. RFC 3339 has an offset of its own. Other texts are of this zone.
    pub fn read(&self, text: &str) -> Option<Time> {
        let text = text.trim();
        if text.len() > 10
            && let Ok(time) = Time::parse(text)
        {
            return Some(time);
        }
        let local: DateTime = text.parse().ok()?;
        Time::from_micros(local.to_zoned(self.zone.clone()).ok()?.timestamp().as_microsecond())
    }

    /// Returns a time with the calendar of the zone.
    pub fn zoned(&self, time: Time) -> Option<Zoned> {
        Some(Timestamp::from_microsecond(time.micros()).ok()?.to_zoned(self.zone.clone()))
    }
}

/// Returns whether a name is that of a place. PostgreSQL knows these names, too.
fn is_place(name: &str) -> bool {
    name.contains('/') && !name.starts_with("Etc/")
}

impl<S: Send + Sync> FromRequestParts<S> for Zone {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::from_cookies(&parts.headers))
    }
}

/// The choice of the viewer.
#[derive(Deserialize)]
pub struct Choice {
    times: String,
}

/// Stores whether times are in UTC or in the zone of the browser, and leads back to the page.
pub async fn choose(Query(choice): Query<Choice>, headers: HeaderMap) -> Response {
    let value = if choice.times == "utc" { "utc" } else { "local" };
    let cookie = format!("{TIMES_COOKIE}={value}; Path=/admin; Max-Age=31536000; SameSite=Lax");
    let from = headers.get(header::REFERER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = url::Url::parse(from).map_or_else(
        |_| String::new(),
        |url| match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        },
    );
    ([(header::SET_COOKIE, cookie)], Redirect::to(&login::next(&path))).into_response()
}

const UTC: &str = "UTC";

/// Has the zone of the browser. `zone.js` writes it.
const ZONE_COOKIE: &str = "audit_zone";

/// Has the choice of the viewer.
const TIMES_COOKIE: &str = "audit_times";

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::Zone;
    use crate::time::Time;

    fn zone(cookies: &str) -> Zone {
        Zone::from_cookies(&HeaderMap::from_iter([(axum::http::header::COOKIE, cookies.parse().unwrap())]))
    }

    #[test]
    fn times_are_those_of_the_zone() {
        let time = Time::parse("2026-03-01T08:00:00.123456Z").unwrap();
        let berlin = zone("audit_zone=Europe/Berlin");
        let shown = berlin.show(time);
        assert_eq!((shown.text.as_str(), shown.offset.as_str()), ("2026-03-01 09:00:00.123", "+01:00"));
        assert_eq!(
            (shown.utc.as_str(), shown.machine.as_str()),
            ("2026-03-01 08:00:00.123 UTC", "2026-03-01T08:00:00.123456Z")
        );
        assert_eq!(berlin.stamp(time), "2026-03-01 09:00 +01:00");
        assert_eq!(zone("").stamp(time), "2026-03-01 08:00 UTC");
        for cookies in [
            "",
            "audit_zone=Mars/Olympus",
            "audit_zone=Etc/Unknown",
            "audit_zone=localtime",
            "audit_zone=Europe/Berlin; audit_times=utc",
        ] {
            let shown = zone(cookies).show(time);
            assert_eq!((shown.text.as_str(), shown.offset.as_str()), ("2026-03-01 08:00:00.123", "UTC"), "{cookies}");
        }
        assert_eq!(zone("audit_zone=Europe/Berlin; audit_times=utc").other.as_deref(), Some("Europe/Berlin"));
        assert_eq!(Zone::utc().show(Time::parse("9999-12-31T23:59:59Z").unwrap()).text, "9999-12-31 23:59:59.000");
    }

    #[test]
    fn a_text_is_read_as_it_was_written() {
        let berlin = zone("audit_zone=Europe/Berlin");
        for (text, time, shown) in [
            ("2026-03-01", "2026-02-28T23:00:00Z", "2026-03-01"),
            (" 2026-07-01 12:30 ", "2026-07-01T10:30:00Z", "2026-07-01 12:30"),
            ("2026-07-01T12:30:00.5", "2026-07-01T10:30:00.5Z", "2026-07-01 12:30:00.5"),
            ("2026-07-01T12:30:00Z", "2026-07-01T12:30:00Z", "2026-07-01 14:30"),
            // The clocks were set back: this hour came twice.
            ("2026-10-25 02:30", "2026-10-25T00:30:00Z", "2026-10-25 02:30"),
            ("2026-10-25T01:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:30:00.000000Z"),
        ] {
            let time = Time::parse(time).unwrap();
            assert_eq!(berlin.read(text), Some(time), "{text}");
            assert_eq!(berlin.text(time), shown, "{text}");
            assert_eq!(berlin.read(shown), Some(time), "{shown}");
        }
        for wrong in ["", "yesterday", "2026-13-01", "10:00"] {
            assert_eq!(berlin.read(wrong), None, "{wrong}");
        }
    }
}
