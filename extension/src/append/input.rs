//! The caller's input for an event: the arguments of a call, or an element of a JSON array.

use std::ffi::CString;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::append::check::shorten;
use crate::pg::edge::Arguments;
use crate::pg::error::Error;
use crate::pg::jsonb::{Container, Value};
use crate::pg::values::{self, Text};

/// The input for one event. None means that the caller omits the value.
#[derive(Default)]
pub struct Input<'a> {
    pub action: Option<Text<'a>>,
    pub workspace: Option<Text<'a>>,
    pub actor: Option<Text<'a>>,
    pub target: Option<Text<'a>>,
    pub targets: Vec<Option<Text<'a>>>,
    /// The root container, and the jsonb datum if there is one.
    pub details: Option<(Container<'a>, Option<Datum>)>,
    pub outcome: Option<Text<'a>>,
    pub ip: Option<Text<'a>>,
    pub user_agent: Option<Text<'a>>,
    pub session_id: Option<Text<'a>>,
    pub request_id: Option<Text<'a>>,
    pub idempotency_key: Option<Text<'a>>,
    /// The time of an imported event: microseconds since 2000-01-01 UTC, and the text of the caller.
    pub occurred_at: Option<(i64, &'a str)>,
    /// Whether the library itself makes the event. It may then have a reserved action.
    pub is_own: bool,
}

/// The meaning of an element of an array.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// An event that happens now. Its time is that of the call.
    Append,
    /// An event of another audit log. It has the key `occurred_at`.
    Import,
}

impl<'a> Input<'a> {
    /// Reads the arguments of `audit.append`, in the order of sql/api/append.sql.
    pub fn of_call(arguments: &'a Arguments) -> Input<'a> {
        Input {
            action: arguments.text(0),
            workspace: arguments.text(1),
            actor: arguments.text(2),
            target: arguments.text(3),
            // SAFETY: the argument is declared as text[].
            targets: arguments
                .datum(4)
                .map_or_else(Vec::new, |datum| unsafe { values::text_array_elements(datum).collect() }),
            details: arguments.datum(5).map(|datum| {
                // SAFETY: the argument is declared as jsonb.
                let (bytes, datum) = unsafe { values::jsonb_bytes(datum) };
                (Container::new(bytes), Some(datum))
            }),
            outcome: arguments.text(6),
            ip: arguments.text(7),
            user_agent: arguments.text(8),
            session_id: arguments.text(9),
            request_id: arguments.text(10),
            idempotency_key: arguments.text(11),
            occurred_at: None,
            is_own: false,
        }
    }

    /// Reads an object whose keys are the arguments of `audit.append`. A null value counts as omitted.
    ///
    /// # Errors
    /// `ZA007` if the element is not such an object. PostgreSQL may also raise an error of class 22 for a time.
    pub fn of_element(element: Value<'a>, kind: Kind) -> Result<Input<'a>, Error> {
        let object = match element {
            Value::Container(container) if container.is_object() => container,
            other => return Err(invalid(format!("the element is {}, not an object", other.kind()))),
        };
        let mut input = Input::default();
        for (key, value) in object.pairs() {
            let value = match value {
                Value::Null => None,
                value => Some(value),
            };
            let text = || value.map(|value| text(key, value)).transpose();
            match key {
                "action" => input.action = text()?,
                "workspace" => input.workspace = text()?,
                "actor" => input.actor = text()?,
                "target" => input.target = text()?,
                "targets" => input.targets = value.map(targets).transpose()?.unwrap_or_default(),
                "details" => input.details = value.map(details).transpose()?,
                "outcome" => input.outcome = text()?,
                "ip" => input.ip = text()?,
                "user_agent" => input.user_agent = text()?,
                "session_id" => input.session_id = text()?,
                "request_id" => input.request_id = text()?,
                "idempotency_key" => input.idempotency_key = text()?,
                "occurred_at" if kind == Kind::Import => input.occurred_at = text()?.map(occurred_at).transpose()?,
                _ => return Err(unknown_key(key)),
            }
        }
        if kind == Kind::Import && input.occurred_at.is_none() {
            return Err(invalid("the key \"occurred_at\" is missing".into()));
        }
        Ok(input)
    }
}

fn text<'a>(key: &str, value: Value<'a>) -> Result<Text<'a>, Error> {
    match value {
        Value::String(text) => Ok(Text::new(text)),
        other => Err(invalid(format!("\"{key}\" is {}, not a string", other.kind()))),
    }
}

fn targets<'a>(value: Value<'a>) -> Result<Vec<Option<Text<'a>>>, Error> {
    match value {
        Value::Container(list) if list.is_array() => {
            list.elements().map(|value| text("targets[…]", value).map(Some)).collect()
        }
        other => Err(invalid(format!("\"targets\" is {}, not an array", other.kind()))),
    }
}

fn details<'a>(value: Value<'a>) -> Result<(Container<'a>, Option<Datum>), Error> {
    match value {
        Value::Container(details) => Ok((details, None)),
        other => Err(invalid(format!("\"details\" is {}, not an object", other.kind()))),
    }
}

fn occurred_at(text: Text<'_>) -> Result<(i64, &str), Error> {
    Ok((timestamp(text.value())?, text.value()))
}

/// Reads a time of RFC 3339 with PostgreSQL's own arithmetic. Other forms that PostgreSQL reads are refused, because
/// their meaning depends on session settings or on the current day.
fn timestamp(text: &str) -> Result<i64, Error> {
    if !has_form_of_rfc3339(text) {
        let problem = format!("occurred_at \"{}\" does not have the form 2026-03-01T08:00:00Z", shorten(text));
        return Err(invalid(problem));
    }
    let text = CString::new(text).expect("jsonb has no NUL");
    // SAFETY: timestamptz_in takes a C string, a type OID that it does not use, and a type modifier. -1 means none.
    let datum = unsafe {
        pgrx::direct_function_call_as_datum(
            pg_sys::timestamptz_in,
            &[Some(Datum::from(text.as_ptr())), Some(Datum::from(pg_sys::InvalidOid)), Some(Datum::from(-1i32))],
        )
    };
    Ok(datum.expect("an input function of a non-null string").value() as i64)
}

fn has_form_of_rfc3339(text: &str) -> bool {
    let matches = |part: &[u8], form: &[u8]| {
        part.len() == form.len()
            && part.iter().zip(form).all(|(byte, sign)| match sign {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't' | b' '),
                b'+' => matches!(byte, b'+' | b'-'),
                sign => byte == sign,
            })
    };
    let Some((moment, rest)) = text.as_bytes().split_at_checked(19) else { return false };
    let fraction =
        rest.strip_prefix(b".").map_or(0, |digits| 1 + digits.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let zone = &rest[fraction..];
    matches(moment, b"0000-00-00T00:00:00")
        && fraction != 1
        && (matches!(zone, b"Z" | b"z") || matches(zone, b"+00:00"))
}

fn unknown_key(key: &str) -> Error {
    invalid(format!("the key \"{}\" is unknown", shorten(key)))
}

fn invalid(problem: String) -> Error {
    Error::InvalidElement { problem }
}
