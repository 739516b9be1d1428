//! Values that the client of an application chooses: they are changed or dropped if they cannot be stored.
//!
//! An error would abort the transaction of the application. A client could then choose not to be audited, or break a
//! feature. The event names each adjusted value instead.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use pgrx::pg_sys::Datum;

use crate::limits::Limit;
use crate::pg::values::{self, Text};

/// The replacement of a character that cannot be stored.
const REPLACEMENT: &str = "\u{FFFD}";

/// The names of the values of an event that were adjusted.
#[derive(Default)]
pub struct Adjustments {
    names: Vec<&'static str>,
}

impl Adjustments {
    /// Returns the address as an inet. A port, brackets, a zone and a netmask of one address are cut off. Returns None
    /// for a text that is not one address.
    pub fn address(&mut self, name: &'static str, text: Option<&str>) -> Option<Datum> {
        let text = text?;
        let address = read_address(text);
        if address.is_none_or(|(_, is_exact)| !is_exact) {
            self.names.push(name);
        }
        address.map(|(address, _)| values::inet(address))
    }

    /// Returns the text as a datum. Control characters are replaced, and the text is cut to the limit. Returns None for
    /// an empty text.
    pub fn text(&mut self, limit: &Limit, text: Option<Text<'_>>) -> Option<Datum> {
        let text = text?;
        let shown = storable(text.value(), limit.bytes);
        match shown {
            Some(Cow::Borrowed(_)) => return Some(text.datum()),
            Some(Cow::Owned(_)) | None => self.names.push(limit.name),
        }
        shown.map(|shown| Text::new(&shown).datum())
    }

    /// Returns the names as a datum of type text[]. Returns None if nothing was adjusted.
    pub fn names(&self) -> Option<Datum> {
        let names: Vec<Text<'_>> = self.names.iter().map(|name| Text::new(name)).collect();
        (!names.is_empty()).then(|| values::text_array(&names))
    }
}

/// Returns the text itself if it can be stored, or else an adjusted one.
fn storable(text: &str, bytes: usize) -> Option<Cow<'_, str>> {
    if text.is_empty() {
        return None;
    }
    if text.len() <= bytes && !text.contains(char::is_control) {
        return Some(Cow::Borrowed(text));
    }
    let mut shown = text[..text.floor_char_boundary(bytes)].replace(char::is_control, REPLACEMENT);
    shown.truncate(shown.floor_char_boundary(bytes));
    Some(Cow::Owned(shown))
}

/// Reads an address. Also returns whether the text has nothing else.
fn read_address(text: &str) -> Option<(IpAddr, bool)> {
    if let Ok(address) = text.parse() {
        return Some((address, true));
    }
    let text = text.trim();
    if let Some((address, length)) = text.split_once('/') {
        // PostgreSQL writes an inet as text with the length of its netmask.
        let address: IpAddr = address.parse().ok()?;
        let whole = if address.is_ipv4() { "32" } else { "128" };
        return (length == whole).then_some((address, true));
    }
    let without_port = text.parse().map(|socket: SocketAddr| socket.ip());
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    without_port.or_else(|_| bare.parse()).ok().map(|address| (address, false))
}
