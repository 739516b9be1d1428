//! The parts that all forms of a line share: keys, salts and the end.

use std::io::Write;

use crate::encoding::write_base64;
use crate::field::Field;
use crate::string::write as write_string;

/// The text in front of each value of a source.
pub(crate) const SOURCE_KEYS: [&str; 7] = [
    r#"{"ip":"#,
    r#","user_agent":"#,
    r#","session_id":"#,
    r#","request_id":"#,
    r#","database_user":"#,
    r#","application_name":"#,
    r#","client_addr":"#,
];

/// The text in front of the number of masked secrets. It is in a source only if there are any.
pub(crate) const MASKED_KEY: &str = r#","masked":"#;

/// The largest number of masked secrets.
pub(crate) const MOST_MASKED: u32 = 999_999_999;

/// The text in front of the names of adjusted values. It is in a source only if there are any.
pub(crate) const ADJUSTED_KEY: &str = r#","adjusted":"#;

/// Appends an array of strings.
pub(crate) fn write_strings(strings: impl IntoIterator<Item: AsRef<str>>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, string) in strings.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(string.as_ref(), out);
    }
    out.push(b']');
}

/// Appends the salts of the fields that a line shows.
pub(crate) fn write_salts<'a>(salts: impl Iterator<Item = (Field, &'a [u8; 32])>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","salts":{"#);
    for (place, (field, salt)) in salts.enumerate() {
        // The first key has no comma in front of it.
        out.extend_from_slice(&field.key().as_bytes()[usize::from(place == 0)..]);
        write_base64(salt, out);
    }
    out.push(b'}');
}

/// Appends the end of a line of any form.
pub(crate) fn write_leaf(leaf: Option<u64>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","leaf":"#);
    match leaf {
        Some(leaf) => write_number(leaf, out),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

/// Appends a number.
pub(crate) fn write_number(number: u64, out: &mut Vec<u8>) {
    write!(out, "{number}").expect("a vector takes every write");
}
