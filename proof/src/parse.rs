//! The parser of a [`Line`].

use crate::cursor::Cursor;
use crate::error::Error;
use crate::field::Field;
use crate::layout::{ADJUSTED_KEY, MASKED_KEY, MOST_MASKED, SOURCE_KEYS};
use crate::line::{Content, Head, Line, Part, Salts};

impl<'a> Line<'a> {
    /// Parses a line, without the line feed or comma that may follow it in a file.
    ///
    /// Full lines, lines with withheld fields and stubs are accepted. The use of the stack does not depend on the
    /// input.
    ///
    /// # Errors
    /// [`Error::Line`] if the line breaks a rule of the format.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let text =
            str::from_utf8(bytes).map_err(|error| Error::Line { position: error.valid_up_to(), expected: "UTF-8" })?;
        let mut cursor = Cursor::new(text);
        let head = head(&mut cursor)?;
        let content = if cursor.has(r#","body":"#) { Content::Stub(cursor.base64()?) } else { fields(&mut cursor)? };
        cursor.literal(r#","leaf":"#)?;
        let leaf = if cursor.has("null") { None } else { Some(cursor.number()?.cast_unsigned()) };
        cursor.literal("}")?;
        cursor.end()?;
        Ok(Line { text, head, content, leaf })
    }
}

fn head<'a>(cursor: &mut Cursor<'a>) -> Result<Head<'a>, Error> {
    cursor.literal(r#"{"v":1,"id":"#)?;
    let before_id = cursor.expected("an id of at least 1");
    let id = cursor.number()?;
    if id == 0 {
        return Err(before_id);
    }
    cursor.literal(r#","workspace":"#)?;
    let workspace = cursor.string()?;
    cursor.literal(r#","occurred_at":"#)?;
    let occurred_at = cursor.time()?;
    cursor.literal(r#","recorded_at":"#)?;
    let recorded_at = cursor.time()?;
    cursor.literal(r#","category":"#)?;
    let category = cursor.string()?;
    cursor.literal(r#","action":"#)?;
    let action = cursor.string()?;
    cursor.literal(r#","outcome":"#)?;
    let outcome = cursor.string()?;
    Ok(Head { raw: cursor.since(0), id, workspace, occurred_at, recorded_at, category, action, outcome })
}

fn fields<'a>(cursor: &mut Cursor<'a>) -> Result<Content<'a>, Error> {
    let mut parts = [Part::Shown(""); 4];
    for (part, field) in parts.iter_mut().zip(Field::ALL) {
        *part = if cursor.has(field.digest_key()) {
            Part::Withheld(cursor.hex()?)
        } else {
            cursor.literal(field.key())?;
            let start = cursor.position();
            value(cursor, field)?;
            Part::Shown(cursor.since(start))
        };
    }
    let salts = if parts.iter().all(|part| matches!(part, Part::Shown(_))) {
        cursor.literal(r#","salt":"#)?;
        Salts::OfEvent(cursor.base64()?)
    } else {
        Salts::OfFields(salts(cursor, &parts)?)
    };
    Ok(Content::Fields { parts, salts })
}

fn value(cursor: &mut Cursor<'_>, field: Field) -> Result<(), Error> {
    match field {
        Field::Actor => cursor.string_or_null(),
        Field::Targets => strings(cursor),
        Field::Source => source(cursor),
        Field::Details => cursor.object(),
    }
}

fn strings(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    cursor.literal("[")?;
    if cursor.has("]") {
        return Ok(());
    }
    loop {
        cursor.string()?;
        if !cursor.has(",") {
            return cursor.literal("]");
        }
    }
}

fn source(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    for key in SOURCE_KEYS {
        cursor.literal(key)?;
        cursor.string_or_null()?;
    }
    if cursor.has(MASKED_KEY) && !(1..=i64::from(MOST_MASKED)).contains(&cursor.number()?) {
        return Err(cursor.expected("a number of masked secrets from 1 to 999999999 before this"));
    }
    if cursor.has(ADJUSTED_KEY) {
        if cursor.has("[]") {
            return Err(cursor.expected("a name of an adjusted value before this"));
        }
        strings(cursor)?;
    }
    cursor.literal("}")
}

/// Reads the salts of the fields that are shown. The others are zero and never used.
fn salts(cursor: &mut Cursor<'_>, parts: &[Part<'_>; 4]) -> Result<[[u8; 32]; 4], Error> {
    let mut salts = [[0; 32]; 4];
    cursor.literal(r#","salts":{"#)?;
    let mut first = true;
    for ((salt, part), field) in salts.iter_mut().zip(parts).zip(Field::ALL) {
        if let Part::Shown(_) = part {
            cursor.literal(if first { &field.key()[1..] } else { field.key() })?;
            *salt = cursor.base64()?;
            first = false;
        }
    }
    cursor.literal("}")?;
    Ok(salts)
}
