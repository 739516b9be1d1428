//! Strict parsing of query parameters. Unknown, empty and invalid parameters are refused, and so are repeated ones that
//! accept one value.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::json;
use serde_json::value::RawValue;

use crate::config;
use crate::error::{ApiError, Code};
use crate::events::filters::{FIELDS, FieldFilters, Filters};
use crate::http::auth::Principal;
use crate::text::shorten;
use crate::time::Time;

/// The query parameters of a request.
#[derive(Debug)]
pub struct Params {
    values: BTreeMap<&'static str, Vec<String>>,
}

impl Params {
    /// Parses a query string. Only `known` names may occur, each at most once and not empty.
    ///
    /// # Errors
    /// `unknown_parameter`, `repeated_parameter`, `invalid_value`, `invalid_utf8`.
    pub fn parse(query: Option<&str>, known: &[&'static str]) -> Result<Self, ApiError> {
        Self::parse_names(query, known, &[])
    }

    /// Parses a query string with the parameters of [`Params::filters`], some of which may be repeated. It may also
    /// have other parameters, each at most once. No parameter may be empty.
    ///
    /// # Errors
    /// Returns the same errors as [`Params::parse`].
    pub fn parse_with_filters(query: Option<&str>, others: &[&'static str]) -> Result<Self, ApiError> {
        let repeated: Vec<&'static str> = Filters::repeated().collect();
        Self::parse_names(query, &[&Filters::SINGLE, others].concat(), &repeated)
    }

    fn parse_names(query: Option<&str>, single: &[&'static str], repeated: &[&'static str]) -> Result<Self, ApiError> {
        let mut values = BTreeMap::<_, Vec<_>>::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, "the name of a parameter")?;
            let name = FIELDS.iter().find(|field| field.negated == name).map_or(name, |field| field.excluded.into());
            let Some(&name) = single.iter().chain(repeated).find(|known| **known == name) else {
                let name = shorten(&name);
                return Err(ApiError::new(Code::UnknownParameter, format!("the path has no parameter \"{name}\""))
                    .with_detail(json!({ "parameter": name }))
                    .with_hint(format!("The parameters are: {}.", [single, repeated].concat().join(", "))));
            };
            let value = decode(value, name)?;
            if value.is_empty() {
                return Err(invalid(name, format!("{name} is empty")).with_hint("Omit it if you do not need it."));
            }
            if value.contains('\0') {
                return Err(invalid(name, format!("{name} contains the character U+0000, which no event can contain")));
            }
            let given = values.entry(name).or_default();
            given.push(value);
            if given.len() > 1 && single.contains(&name) {
                return Err(ApiError::new(Code::RepeatedParameter, format!("{name} is given more than once"))
                    .with_detail(json!({ "parameter": name })));
            }
        }
        Ok(Self { values })
    }

    /// Returns the value, if it is given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.first().map(String::as_str)
    }

    /// Returns the value as a point in time.
    ///
    /// # Errors
    /// Fails with `invalid_value`.
    pub fn time(&self, name: &'static str) -> Result<Option<Time>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        Time::parse(text).map(Some).map_err(|error| {
            let api = invalid(name, format!("{name}: {error}"));
            // In a query string, + stands for a space.
            if text.contains(' ') { api.with_hint("Write + as %2B in a URL.") } else { api }
        })
    }

    /// Returns the value as a whole number within a range.
    ///
    /// # Errors
    /// Fails with `invalid_value`.
    pub fn integer<T: FromStr + PartialOrd + Display + Copy>(
        &self,
        name: &'static str,
        from: T,
        to: T,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().ok().filter(|number| (from..=to).contains(number)).map(Some).ok_or_else(|| {
            invalid(name, format!("{name} is \"{}\", but it must be a whole number from {from} to {to}", shorten(text)))
        })
    }

    /// Returns the value as `true` or `false`.
    ///
    /// # Errors
    /// Fails with `invalid_value`.
    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse()
            .map(Some)
            .map_err(|_| invalid(name, format!("{name} is \"{}\", but it must be true or false", shorten(text))))
    }

    /// Returns the value as a number of seconds, at least one. It is given as `15m` or `1d`.
    ///
    /// # Errors
    /// Fails with `invalid_value`.
    pub fn seconds(&self, name: &'static str) -> Result<Option<f64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let duration = config::duration(text).map_err(|error| invalid(name, format!("{name}: {error}")))?;
        let seconds = duration.as_secs_f64();
        if !(1.0..=LONGEST).contains(&seconds) {
            return Err(invalid(name, format!("{name} is \"{}\", but it must be from 1s to 3660d", shorten(text))));
        }
        Ok(Some(seconds))
    }

    /// Returns the value as a length of time up to `most`. It is given as `30s` or `1m`.
    ///
    /// # Errors
    /// Fails with `invalid_value`.
    pub fn duration(&self, name: &'static str, most: Duration) -> Result<Option<Duration>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let duration = config::duration(text).map_err(|error| invalid(name, format!("{name}: {error}")))?;
        if duration > most {
            let most = humantime::format_duration(most);
            return Err(invalid(name, format!("{name} is \"{}\", but it must be at most {most}", shorten(text))));
        }
        Ok(Some(duration))
    }

    /// Returns the value as a cursor, which consists of a time in microseconds and the id of an event.
    ///
    /// # Errors
    /// Fails with `invalid_cursor`.
    pub fn cursor(&self, name: &'static str) -> Result<Option<&str>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let parts = text.split_once('.').and_then(|(time, id)| Some((time.parse().ok()?, id.parse::<i64>().ok()?)));
        match parts.and_then(|(time, _)| Time::from_micros(time)) {
            Some(_) => Ok(Some(text)),
            None => Err(ApiError::new(
                Code::InvalidCursor,
                format!("{name} \"{}\" is not the next_cursor of a page", shorten(text)),
            )
            .with_hint("Use next_cursor of the previous page unchanged, with the same filters.")),
        }
    }

    /// Returns the value as the unchanged text of a JSON object.
    ///
    /// # Errors
    /// Fails with `invalid_value`.
    pub fn json_object(&self, name: &'static str) -> Result<Option<String>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) if raw.get().starts_with('{') => Ok(Some(raw.get().to_owned())),
            Ok(_) => Err(invalid(name, format!("{name} is not a JSON object, such as {{\"rule\": 7}}"))),
            Err(error) => Err(invalid(name, format!("{name} is not valid JSON: {error}"))),
        }
    }

    /// Returns the filters, limited to the workspaces of the token.
    ///
    /// # Errors
    /// Fails with the errors of the single parameters, with `invalid_range`, with `forbidden` for another target than the one to which
    /// the session is limited, or with those of [`Principal::workspace`].
    pub fn filters(&self, principal: &Principal) -> Result<Filters, ApiError> {
        let other = principal.target().and_then(|own| self.values.get("target")?.iter().find(|given| *given != own));
        if let Some(other) = other {
            let message = format!("the session does not show the events of target \"{}\"", shorten(other));
            return Err(ApiError::new(Code::Forbidden, message)
                .with_hint("It is limited to one target. Remove the filter of the target."));
        }
        let given = |name: &str| self.values.get(name).cloned().unwrap_or_default();
        let filters = Filters {
            workspace: workspace(principal, self.text("workspace"))?,
            since: self.time("since")?,
            until: self.time("until")?,
            details: self.json_object("details")?,
            fields: FieldFilters::new(given).limited_by(principal.fields()),
        };
        match (filters.since, filters.until) {
            (Some(since), Some(until)) if since >= until => {
                Err(ApiError::new(Code::InvalidRange, format!("the range from {since} to {until} is empty"))
                    .with_hint("since must be before until, which is not included."))
            }
            (None, Some(until)) if until.micros() <= Time::now().micros() - WEEK => Err(ApiError::new(
                Code::InvalidRange,
                format!("until is {until}, which is before the default of since, 168 hours ago"),
            )
            .with_hint("Give since, too.")),
            _ => Ok(filters),
        }
    }
}

/// Returns the workspace of a request, as [`Principal::workspace`] does.
///
/// # Errors
/// Fails with `invalid_value` if no workspace can have the name, or with the errors of [`Principal::workspace`].
pub fn workspace(principal: &Principal, given: Option<&str>) -> Result<String, ApiError> {
    let workspace = principal.workspace(given)?;
    if workspace.len() > 200 {
        return Err(invalid("workspace", format!("workspace has {} bytes, but the maximum is 200", workspace.len())));
    }
    Ok(workspace)
}

/// Maximum bucket: ten years, in seconds.
const LONGEST: f64 = 3_660.0 * 86_400.0;

/// Default length of the period, in microseconds.
const WEEK: i64 = 168 * 3_600 * 1_000_000;

fn invalid(name: &str, message: String) -> ApiError {
    ApiError::new(Code::InvalidValue, message).with_detail(json!({ "parameter": name }))
}

fn decode(text: &str, what: &str) -> Result<String, ApiError> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(ApiError::new(Code::InvalidUtf8, format!("{what} is not valid UTF-8"))),
    }
}

#[cfg(test)]
mod tests {
    use super::Params;
    use crate::error::Code;

    fn code(query: &str) -> Code {
        Params::parse(Some(query), &["since", "actor", "details"]).unwrap_err().code()
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(code("sinse=1"), Code::UnknownParameter);
        assert_eq!(code("actor=a&actor=a"), Code::RepeatedParameter);
        assert_eq!(code("actor="), Code::InvalidValue);
        assert_eq!(code("actor"), Code::InvalidValue);
        assert_eq!(code("actor=a%00b"), Code::InvalidValue);
        assert_eq!(code("actor=%ff"), Code::InvalidUtf8);
    }

    #[test]
    fn not_is_another_name_of_an_exclusion() {
        let params = Params::parse_with_filters(Some("not_actor=a&actor!=b&actor=c"), &[]).unwrap();
        assert_eq!(
            (&params.values["actor!"], &params.values["actor"]),
            (&vec!["a".into(), "b".into()], &vec!["c".into()])
        );
        assert_eq!(Params::parse(Some("not_actor=a"), &["actor"]).unwrap_err().code(), Code::UnknownParameter);
    }

    #[test]
    fn filters_may_be_repeated_and_excluded() {
        let code = |query: &str| Params::parse_with_filters(Some(query), &["cursor"]).unwrap_err().code();
        assert_eq!(code("since=2026-01-01&since=2026-01-01"), Code::RepeatedParameter);
        assert_eq!(code("cursor=1.1&cursor=1.1"), Code::RepeatedParameter);
        assert_eq!(code("since!=2026-01-01"), Code::UnknownParameter);
        assert_eq!(code("actor!!=a"), Code::UnknownParameter);
        assert_eq!(code("actor!="), Code::InvalidValue);
        let params = Params::parse_with_filters(Some("actor!=system:*&actor%21=a,b&actor=c"), &[]).unwrap();
        assert_eq!(params.values["actor!"], ["system:*", "a,b"]);
        assert_eq!(params.values["actor"], ["c"]);
    }

    #[test]
    fn values_are_decoded_and_typed() {
        let query = "actor=J%C3%BCrgen+M&since=2026-03-01T00:00:00%2B01:00&details=%7B%22a%22%3A1e400%7D";
        let params = Params::parse(Some(query), &["since", "actor", "details"]).unwrap();
        assert_eq!(params.text("actor"), Some("Jürgen M"));
        assert_eq!(params.time("since").unwrap().unwrap().to_string(), "2026-02-28T23:00:00.000000Z");
        assert_eq!(params.json_object("details").unwrap().unwrap(), "{\"a\":1e400}");
        assert!(params.json_object("actor").is_err());
        let params = Params::parse(Some("since=2026-03-01T00:00:00+01:00"), &["since"]).unwrap();
        assert_eq!(params.time("since").unwrap_err().hint(), Some("Write + as %2B in a URL."));
    }
}
