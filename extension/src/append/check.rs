//! Checks of the values that a caller gives.

use std::net::IpAddr;

use pgrx::pg_sys::Datum;

use crate::limits::{self, Limit};
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::{self, Text};

sql_function!(audit_check_name, pg_finfo_audit_check_name, check_name);

/// `audit_internal.check_name(what, value)`: refuses a value that [`name`] refuses; NULL passes.
fn check_name(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let what = arguments.text(0).map_or("", |what| what.value());
    let limit = limits::NAMES.into_iter().find(|limit| limit.name == what);
    let limit = limit.unwrap_or_else(|| panic!("there is no limit of a name \"{what}\""));
    name(limit, arguments.text(1))?;
    Ok(None)
}

const SUCCESS: &str = "success";
const OUTCOMES: [&str; 3] = [SUCCESS, "failure", "denied"];

/// A name that must be given; otherwise as [`name`].
pub fn required<'a>(limit: &Limit, value: Option<Text<'a>>) -> Result<Text<'a>, Error> {
    name(limit, value)?.ok_or_else(|| Error::InvalidValue {
        name: limit.name,
        problem: "is missing".into(),
        hint: "Pass a name that is not NULL.",
    })
}

/// A name: not empty, no control characters, within the limit. None if it is left out.
///
/// # Errors
/// `ZA003` for what is no name.
pub fn name<'a>(limit: &Limit, value: Option<Text<'a>>) -> Result<Option<Text<'a>>, Error> {
    let Some(text) = size(limit, value)? else {
        return Ok(None);
    };
    let invalid = |problem: &str, hint| Error::InvalidValue { name: limit.name, problem: problem.into(), hint };
    if text.value().is_empty() {
        return Err(invalid("is empty", "Leave it out where there is none."));
    }
    if text.value().chars().any(char::is_control) {
        return Err(invalid("contains a control character", "Names are printable text on one line."));
    }
    Ok(Some(text))
}

/// A text within the limit (SQLSTATE `ZA003`).
pub fn size<'a>(limit: &Limit, value: Option<Text<'a>>) -> Result<Option<Text<'a>>, Error> {
    match value {
        Some(text) if text.value().len() > limit.bytes => Err(Error::InvalidValue {
            name: limit.name,
            problem: format!("has {} bytes, the limit is {}", text.value().len(), limit.bytes),
            hint: "Put long values into details.",
        }),
        other => Ok(other),
    }
}

/// The one target and the list together, each once, in the order given, as a datum of type text[] (SQLSTATE `ZA003`).
pub fn targets(target: Option<Text<'_>>, list: &[Option<Text<'_>>]) -> Result<Datum, Error> {
    if list.len() > limits::TARGETS {
        return Err(Error::InvalidValue {
            name: "targets",
            problem: format!("has {} elements, the limit is {}", list.len(), limits::TARGETS),
            hint: "Append one event per group of targets.",
        });
    }
    let mut all: Vec<Text<'_>> = Vec::with_capacity(list.len() + 1);
    for candidate in target.map(Some).into_iter().chain(list.iter().copied()) {
        let text = name(&limits::TARGET, candidate)?.ok_or_else(|| Error::InvalidValue {
            name: "target",
            problem: "is null".into(),
            hint: "Leave out what there is none of.",
        })?;
        if !all.iter().any(|earlier| earlier.value() == text.value()) {
            all.push(text);
        }
    }
    Ok(values::text_array(&all))
}

/// The outcome, `success` if it is left out (SQLSTATE `ZA003`).
pub fn outcome(value: Option<Text<'_>>) -> Result<Text<'_>, Error> {
    match value {
        None => Ok(Text::new(SUCCESS)),
        Some(text) if OUTCOMES.contains(&text.value()) => Ok(text),
        Some(text) => Err(Error::InvalidValue {
            name: "outcome",
            problem: format!("\"{}\" does not exist", shorten(text.value())),
            hint: "Outcomes are success, failure and denied.",
        }),
    }
}

/// An inet of one host (SQLSTATE `ZA003`).
pub fn host(inet: Datum) -> Result<Datum, Error> {
    // SAFETY: the argument's SQL type is inet, and it is not NULL.
    match unsafe { values::inet_netmask(inet) } {
        None => Ok(inet),
        Some(bits) => Err(Error::InvalidValue {
            name: "ip",
            problem: format!("has netmask /{bits}"),
            hint: "Pass the address of one host.",
        }),
    }
}

/// The inet of an IP address (SQLSTATE `ZA003`).
pub fn address(address: &str) -> Result<Datum, Error> {
    address.parse::<IpAddr>().map(values::inet).map_err(|_| Error::InvalidValue {
        name: "ip",
        problem: format!("\"{}\" is not an IP address", shorten(address)),
        hint: "Pass an IPv4 or IPv6 address without port and netmask.",
    })
}

/// The first hundred characters, for an error.
pub fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}
