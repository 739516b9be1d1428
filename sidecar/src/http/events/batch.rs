//! The events of an upload: they are parsed, checked and put together for the database. Their details stay
//! unchanged, apart from escapes that PostgreSQL refuses.

use std::borrow::Cow;
use std::ops::Range;

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::error::{ApiError, Code};
use crate::http::auth::Principal;
use crate::text::first_chars;

/// An event to append.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEvent<'a> {
    /// Action.
    #[serde(borrow)]
    pub action: Cow<'a, str>,
    /// Workspace. Default: the token's own.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    workspace: Option<Cow<'a, str>>,
    /// Actor.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    actor: Option<Cow<'a, str>>,
    /// Target of the action.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'a, str>>,
    /// Targets of the action, if there are several.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    targets: Option<Vec<Cow<'a, str>>>,
    /// Further data about the event, as an object. U+0000 and half of a surrogate pair become U+FFFD.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none", serialize_with = "storable")]
    #[schema(value_type = Option<Object>)]
    details: Option<&'a RawValue>,
    /// Outcome: success, failure or denied. Default: success.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Cow<'a, str>>,
    /// IP address of the actor.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    ip: Option<Cow<'a, str>>,
    /// User agent of the actor.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    /// Id of the actor's session in the application.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    session_id: Option<Cow<'a, str>>,
    /// Id of the request to the application.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    /// Key that prevents duplicates: within 48 hours, an event with the same key in the same workspace is not stored
    /// again.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<Cow<'a, str>>,
}

/// The formats of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One object, or an array of objects.
    Json,
    /// One object per line.
    Ndjson,
}

/// The events of an upload, in the form that the database accepts.
pub struct Batch<'a> {
    /// The events.
    pub events: Vec<NewEvent<'a>>,
    /// All of them as a JSON array.
    text: String,
    /// The range of each event in the text.
    ranges: Vec<Range<usize>>,
    place: Place,
}

/// The way in which an error names an event.
enum Place {
    /// The upload holds a single event, which needs no name.
    Single,
    /// The position in the array, counted from 0.
    Element,
    /// The line, counted from 1. The vector holds the line of each event.
    Line(Vec<usize>),
}

impl<'a> Batch<'a> {
    /// Parses an upload.
    ///
    /// # Errors
    /// Fails with `invalid_json`, `invalid_event`, `invalid_value`, `missing_workspace` or `wrong_workspace`, each with
    /// the line or the element.
    pub fn read(text: &'a str, form: Form, principal: &Principal) -> Result<Self, ApiError> {
        let (raw, place) = match form {
            Form::Ndjson => {
                let lines = text.split('\n').enumerate().map(|(at, line)| (line.trim_ascii(), at + 1));
                let (raw, lines) = lines.filter(|(line, _)| !line.is_empty()).unzip();
                (raw, Place::Line(lines))
            }
            Form::Json if text.trim_ascii_start().starts_with('[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
                (elements.into_iter().map(RawValue::get).collect::<Vec<_>>(), Place::Element)
            }
            Form::Json => (vec![text], Place::Single),
        };
        let mut batch = Self { events: Vec::new(), text: String::new(), ranges: Vec::new(), place };
        let mut out = Vec::with_capacity(text.len() + 2);
        out.push(b'[');
        for (at, raw) in raw.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let event = one(raw, principal).map_err(|error| batch.locate(error, at))?;
            let start = out.len();
            serde_json::to_writer(&mut out, &event).map_err(ApiError::internal)?;
            batch.ranges.push(start..out.len());
            batch.events.push(event);
        }
        out.push(b']');
        batch.text = String::from_utf8(out).map_err(ApiError::internal)?;
        Ok(batch)
    }

    /// Returns all events as a JSON array.
    pub fn json(&self) -> &str {
        &self.text
    }

    /// Returns some of the events, at least one, as a JSON array.
    pub fn part_of_json(&self, range: Range<usize>) -> String {
        match &self.ranges[range] {
            [first, .., last] => format!("[{}]", &self.text[first.start..last.end]),
            [only] => format!("[{}]", &self.text[only.clone()]),
            [] => "[]".to_owned(),
        }
    }

    /// Adds the line or the element to an error.
    pub fn locate(&self, error: ApiError, at: usize) -> ApiError {
        let (place, detail) = match &self.place {
            Place::Single => return error,
            Place::Element => (format!("element {at}"), json!({ "element": at })),
            Place::Line(lines) => {
                let line = lines.get(at).copied().unwrap_or_default();
                (format!("line {line}"), json!({ "line": line }))
            }
        };
        let message = format!("{place}: {}", error.message());
        error.with_message(message).with_detail(detail)
    }

    /// Adds the line or the element to an error of the database that names the element at the start of its message.
    /// Returns none for other errors.
    pub fn locate_database_error(&self, error: &ApiError) -> Option<ApiError> {
        let (at, message) = error.message().strip_prefix("events[")?.split_once("]: ")?;
        let at = at.parse().ok()?;
        Some(self.locate(error.clone().with_message(message), at))
    }
}

fn one<'a>(raw: &'a str, principal: &Principal) -> Result<NewEvent<'a>, ApiError> {
    let mut event: NewEvent<'a> = serde_json::from_str(raw).map_err(|error| not_json(&error))?;
    // Serde also deserializes a struct from an array, by the positions of its fields. That is refused here.
    if !raw.trim_ascii_start().starts_with('{') {
        return Err(ApiError::new(Code::InvalidEvent, "not an event: an event must be an object, not an array"));
    }
    event.workspace = Some(Cow::Owned(principal.workspace(event.workspace.as_deref())?));
    // The database replaces control characters of these values, and notes it in the event. It cannot receive U+0000.
    for value in [&mut event.ip, &mut event.user_agent, &mut event.session_id, &mut event.request_id] {
        if let Some(text) = value.as_mut().filter(|text| text.contains('\0')) {
            *text = Cow::Owned(text.replace('\0', "\u{1}"));
        }
    }
    Ok(event)
}

/// Writes details in which the escapes that PostgreSQL refuses are replaced.
fn storable<S: Serializer>(details: &Option<&RawValue>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(details) = details else { return serializer.serialize_none() };
    match replace_escapes(details.get()) {
        Some(text) => RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer),
        None => details.serialize(serializer),
    }
}

/// Replaces the escapes of U+0000 and of half a surrogate pair by that of U+FFFD. Returns none if there are none.
fn replace_escapes(json: &str) -> Option<String> {
    const REPLACEMENT: &str = "\\ufffd";
    let mut text = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = json[at..].find('\\').map(|found| at + found) {
        let unit = |at: usize| u16::from_str_radix(json.get(at..at + 6)?.strip_prefix("\\u")?, 16).ok();
        let length = match unit(found) {
            Some(0xD800..=0xDBFF) if matches!(unit(found + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0 | 0xD800..=0xDFFF) => {
                text.push_str(&json[copied..found]);
                text.push_str(REPLACEMENT);
                copied = found + 6;
                6
            }
            // The backslash escapes one ASCII character.
            _ => 2,
        };
        at = found + length;
    }
    (copied > 0).then(|| text + &json[copied..])
}

fn not_json(error: &serde_json::Error) -> ApiError {
    let (code, what) = match error.classify() {
        serde_json::error::Category::Data => (Code::InvalidEvent, "not an event"),
        _ => (Code::InvalidJson, "not valid JSON"),
    };
    // The message counts lines within the event, which a client would mistake for lines of the upload.
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    // The message repeats an unknown name in full, so it is truncated.
    let text = first_chars(text, 200);
    match error.line() {
        0 => ApiError::new(code, format!("{what}: {text}")),
        1 => ApiError::new(code, format!("{what}: {text} (column {})", error.column())),
        line => ApiError::new(code, format!("{what}: {text} (its line {line}, column {})", error.column())),
    }
}

/// Returns the error for an upload that is not UTF-8, with the place in its detail.
pub(super) fn not_utf8(body: &[u8], valid_up_to: usize, form: Form) -> ApiError {
    let line = body[..valid_up_to].iter().filter(|byte| **byte == b'\n').count() + 1;
    let detail: Value = match form {
        Form::Ndjson => json!({ "line": line, "offset": valid_up_to }),
        Form::Json => json!({ "offset": valid_up_to }),
    };
    ApiError::new(Code::InvalidUtf8, format!("the body is not valid UTF-8 at byte {valid_up_to} (line {line})"))
        .with_detail(detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Batch, Form};
    use crate::error::{ApiError, Code};
    use crate::http::auth::Principal;
    use crate::http::rights::Role;

    fn read(text: &str, form: Form) -> Result<String, ApiError> {
        let principal = Principal::of_token("0", "t".into(), Role::Writer, Some("acme".into()));
        Batch::read(text, form, &principal).map(|batch| batch.json().to_owned())
    }

    /// PostgreSQL refuses these escapes.
    #[test]
    fn escapes_that_cannot_be_stored_are_replaced() {
        for (given, sent) in [
            (r#"{"a":"x\u0000\u0000"}"#, r#"{"a":"x\ufffd\ufffd"}"#),
            (r#"{"\u0000":1}"#, r#"{"\ufffd":1}"#),
            (r#"{"a":"\\u0000"}"#, r#"{"a":"\\u0000"}"#),
            (r#"{"a":"\\\u0000"}"#, r#"{"a":"\\\ufffd"}"#),
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ufffd"}"#),
            (r#"{"a":"\ude00\ud83d\ude00"}"#, r#"{"a":"\ufffd\ud83d\ude00"}"#),
            (r#"{"a":"\ud83d\ud83d\ude00\n"}"#, r#"{"a":"\ufffd\ud83d\ude00\n"}"#),
        ] {
            let event = format!(r#"{{"action":"a","details":{given}}}"#);
            let expected = format!(r#"[{{"action":"a","workspace":"acme","details":{sent}}}]"#);
            assert_eq!(read(&event, Form::Json).unwrap(), expected);
        }
        let event = r#"{"action":"a","user_agent":"x\u0000y"}"#;
        let expected = r#"[{"action":"a","workspace":"acme","user_agent":"x\u0001y"}]"#;
        assert_eq!(read(event, Form::Json).unwrap(), expected);
    }

    #[test]
    fn details_pass_untouched_and_the_workspace_is_filled_in() {
        let given = r#" {"action":"a","details":{"n" : 1e4000,"x":0.10000000000000000000001}, "target":"t\u00fc"}"#;
        let sent = r#"[{"action":"a","workspace":"acme","target":"tü","details":{"n" : 1e4000,"x":0.10000000000000000000001}}]"#;
        assert_eq!(read(given, Form::Json).unwrap(), sent);
        assert_eq!(read("[]", Form::Json).unwrap(), "[]");
        assert_eq!(read("\r\n\n", Form::Ndjson).unwrap(), "[]");
    }

    #[test]
    fn errors_name_the_line_or_the_element() {
        for (text, form, code, detail) in [
            ("{\"action\":\"a\"}\n\n{\"action\":5}\n", Form::Ndjson, Code::InvalidEvent, json!({"line": 3})),
            ("{\"action\":\"a\"}\n{\"action\"", Form::Ndjson, Code::InvalidJson, json!({"line": 2})),
            (r#"[{"action":"a"},{"action":"a","nonsense":1}]"#, Form::Json, Code::InvalidEvent, json!({"element": 1})),
            (
                r#"[{"action":"a"},{"action":"a","workspace":"globex"}]"#,
                Form::Json,
                Code::WrongWorkspace,
                json!({"element": 1}),
            ),
            (r#"[{"actor":"a"}]"#, Form::Json, Code::InvalidEvent, json!({"element": 0})),
            (r#"[5]"#, Form::Json, Code::InvalidEvent, json!({"element": 0})),
            (r#"[["a"]]"#, Form::Json, Code::InvalidEvent, json!({"element": 0})),
            (r#"["a", "acme"]"#, Form::Ndjson, Code::InvalidEvent, json!({"line": 1})),
        ] {
            let error = read(text, form).unwrap_err();
            assert_eq!((error.code(), error.detail()), (code, Some(&detail)), "{text}");
        }
        assert_eq!(read("{\"action\":\n5}", Form::Json).unwrap_err().detail(), None);
        assert_eq!(read(r#"[{"action":"a"}"#, Form::Json).unwrap_err().code(), Code::InvalidJson);
        assert_eq!(read("", Form::Json).unwrap_err().code(), Code::InvalidJson);
    }
}
