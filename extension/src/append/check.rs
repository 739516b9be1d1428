//! Checks of the values that a caller passes.

use pgrx::pg_sys::Datum;

use crate::limits::{self, Limit};
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::{self, Text};

sql_function!(audit_check_name, pg_finfo_audit_check_name, check_name);

/// Implements `audit_internal.check_name(what, value)`: raises an error for a value that [`name`] refuses. NULL passes.
fn check_name(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let what = arguments.text(0).map_or("", |what| what.value());
    let limit = limits::NAMES.into_iter().find(|limit| limit.name == what);
    let limit = limit.unwrap_or_else(|| panic!("there is no limit for a name \"{what}\""));
    name(limit, arguments.text(1))?;
    Ok(None)
}

const SUCCESS: &str = "success";
const OUTCOMES: [&str; 3] = [SUCCESS, "failure", "denied"];

/// Checks a name that must be given, as [`name`] does.
///
/// # Errors
/// `ZA003` if the name is missing or invalid.
pub fn required<'a>(limit: &Limit, value: Option<Text<'a>>) -> Result<Text<'a>, Error> {
    name(limit, value)?.ok_or_else(|| Error::InvalidValue {
        name: limit.name,
        problem: "is missing".into(),
        hint: "Pass a name that is not NULL.",
    })
}

/// Checks a name: it is not empty, has no control characters, and is within the limit. Returns None for None.
///
/// # Errors
/// `ZA003` if the name is invalid.
pub fn name<'a>(limit: &Limit, value: Option<Text<'a>>) -> Result<Option<Text<'a>>, Error> {
    let Some(text) = size(limit, value)? else {
        return Ok(None);
    };
    let invalid = |problem: &str, hint| Error::InvalidValue { name: limit.name, problem: problem.into(), hint };
    if text.value().is_empty() {
        return Err(invalid("is empty", "Omit the name if there is none."));
    }
    if text.value().chars().any(char::is_control) {
        return Err(invalid("contains a control character", "Remove the control characters, such as line feeds."));
    }
    Ok(Some(text))
}

/// Checks that a text is within the limit (SQLSTATE `ZA003`).
fn size<'a>(limit: &Limit, value: Option<Text<'a>>) -> Result<Option<Text<'a>>, Error> {
    match value {
        Some(text) if text.value().len() > limit.bytes => Err(Error::InvalidValue {
            name: limit.name,
            problem: format!("has {} bytes, more than the limit of {}", text.value().len(), limit.bytes),
            hint: "Shorten the value, or put it into details.",
        }),
        other => Ok(other),
    }
}

/// Joins the single target and the list in the order given, and drops repetitions. Returns a datum of type text[]
/// (SQLSTATE `ZA003`).
pub fn targets(target: Option<Text<'_>>, list: &[Option<Text<'_>>]) -> Result<Datum, Error> {
    if list.len() > limits::TARGETS {
        return Err(Error::InvalidValue {
            name: "targets",
            problem: format!("has {} elements, more than the limit of {}", list.len(), limits::TARGETS),
            hint: "Distribute the targets over several events.",
        });
    }
    let mut all: Vec<Text<'_>> = Vec::with_capacity(list.len() + 1);
    for candidate in target.map(Some).into_iter().chain(list.iter().copied()) {
        let text = name(&limits::TARGET, candidate)?.ok_or_else(|| Error::InvalidValue {
            name: "target",
            problem: "is NULL".into(),
            hint: "Omit the NULL.",
        })?;
        if !all.iter().any(|earlier| earlier.value() == text.value()) {
            all.push(text);
        }
    }
    Ok(values::text_array(&all))
}

/// Checks the outcome. Returns `success` if it is omitted (SQLSTATE `ZA003`).
pub fn outcome(value: Option<Text<'_>>) -> Result<Text<'_>, Error> {
    match value {
        None => Ok(Text::new(SUCCESS)),
        Some(text) if OUTCOMES.contains(&text.value()) => Ok(text),
        Some(text) => Err(Error::InvalidValue {
            name: "outcome",
            problem: format!("\"{}\" does not exist", shorten(text.value())),
            hint: "Use success, failure or denied.",
        }),
    }
}

/// Returns the first hundred characters, for an error message.
pub fn shorten(text: &str) -> String {
    start(text, 100)
}

/// Returns the first characters of a text, at most so many.
pub fn start(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
