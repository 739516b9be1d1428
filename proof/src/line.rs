use std::borrow::Cow;

use crate::cursor::Cursor;
use crate::field::Field;
use crate::layout::SOURCE_KEYS;
use crate::{digest, string};

/// A line of format v1, as slices of its text.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    pub(crate) text: &'a str,
    pub(crate) head: Head<'a>,
    pub(crate) content: Content<'a>,
    pub(crate) leaf: Option<u64>,
}

impl<'a> Line<'a> {
    /// Returns the whole line.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the head: the bytes from the opening brace to the closing quote of the outcome.
    pub fn head(&self) -> &'a str {
        self.head.raw
    }

    /// Returns the id of the event, at least 1.
    pub fn id(&self) -> i64 {
        self.head.id
    }

    /// Returns the workspace. Like all texts of the head, it is borrowed from the line unless it contains an escape.
    pub fn workspace(&self) -> Cow<'a, str> {
        string::unescape(self.head.workspace)
    }

    /// Returns the time of the event, in microseconds since 1970-01-01T00:00:00Z.
    pub fn occurred_at(&self) -> i64 {
        self.head.occurred_at
    }

    /// Returns the time of the record, in microseconds since 1970-01-01T00:00:00Z.
    pub fn recorded_at(&self) -> i64 {
        self.head.recorded_at
    }

    /// Returns the category.
    pub fn category(&self) -> Cow<'a, str> {
        string::unescape(self.head.category)
    }

    /// Returns the action.
    pub fn action(&self) -> Cow<'a, str> {
        string::unescape(self.head.action)
    }

    /// Returns the outcome.
    pub fn outcome(&self) -> Cow<'a, str> {
        string::unescape(self.head.outcome)
    }

    /// Returns the leaf index that the line claims, counted from 0. Returns None if the event is not in the log yet.
    ///
    /// [`Line::leaf_hash`] covers every part of a line but this one.
    pub fn leaf(&self) -> Option<u64> {
        self.leaf
    }

    /// Returns whether the line is a stub. A stub shows neither the four fields nor their digests.
    pub fn is_stub(&self) -> bool {
        matches!(self.content, Content::Stub(_))
    }

    /// Returns the raw text of the value of a field, which is JSON. Returns None if the line does not show the field.
    pub fn shown(&self, field: Field) -> Option<&'a str> {
        match &self.content {
            Content::Fields { parts, .. } => match parts[field as usize] {
                Part::Shown(raw) => Some(raw),
                Part::Withheld(_) => None,
            },
            Content::Stub(_) => None,
        }
    }

    /// Returns the actor, which may be unknown. Returns None if the line does not show this field.
    pub fn actor(&self) -> Option<Option<Cow<'a, str>>> {
        let raw = self.shown(Field::Actor)?;
        let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Some(inner.map(string::unescape))
    }

    /// Returns the values of the source in the order of the format. Returns None if the line does not show this field.
    pub fn source(&self) -> Option<[Option<Cow<'a, str>>; 7]> {
        let mut cursor = Cursor::new(self.shown(Field::Source)?);
        let mut values = [const { None }; 7];
        for (value, key) in values.iter_mut().zip(SOURCE_KEYS) {
            cursor.literal(key).ok()?;
            if !cursor.has("null") {
                *value = Some(string::unescape(cursor.string().ok()?));
            }
        }
        Some(values)
    }

    /// Returns the digest of a field: computed if the line shows the field, or as given if it is withheld. Returns None
    /// for a stub.
    pub fn field_digest(&self, field: Field) -> Option<[u8; 32]> {
        match &self.content {
            Content::Fields { parts, salts } => Some(parts[field as usize].digest(&salts.of_fields()[field as usize])),
            Content::Stub(_) => None,
        }
    }

    /// Returns the body: computed from the digests of the fields, or as given in a stub.
    pub fn body(&self) -> [u8; 32] {
        match &self.content {
            Content::Fields { parts, salts } => {
                let salts = salts.of_fields();
                digest::body(&Field::ALL.map(|field| parts[field as usize].digest(&salts[field as usize])))
            }
            Content::Stub(body) => *body,
        }
    }

    /// Returns the leaf hash, which is the same for all forms of the line of an event.
    pub fn leaf_hash(&self) -> [u8; 32] {
        digest::leaf_hash(self.head.raw.as_bytes(), &self.body())
    }
}

/// The head: its raw text and its values. Strings are raw, as between their quotes.
#[derive(Debug, Clone)]
pub(crate) struct Head<'a> {
    pub(crate) raw: &'a str,
    pub(crate) id: i64,
    pub(crate) workspace: &'a str,
    pub(crate) occurred_at: i64,
    pub(crate) recorded_at: i64,
    pub(crate) category: &'a str,
    pub(crate) action: &'a str,
    pub(crate) outcome: &'a str,
}

/// The part of a line between the head and the leaf.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the common one, and a box would cost an allocation for each line"
)]
pub(crate) enum Content<'a> {
    Fields { parts: [Part<'a>; 4], salts: Salts },
    Stub([u8; 32]),
}

/// A field: its raw text or its digest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    Shown(&'a str),
    Withheld([u8; 32]),
}

impl Part<'_> {
    fn digest(&self, salt: &[u8; 32]) -> [u8; 32] {
        match self {
            Self::Shown(raw) => digest::field_digest(salt, raw.as_bytes()),
            Self::Withheld(digest) => *digest,
        }
    }
}

/// The salts that a line holds.
#[derive(Debug, Clone)]
pub(crate) enum Salts {
    OfEvent([u8; 16]),
    OfFields([[u8; 32]; 4]),
}

impl Salts {
    pub(crate) fn of_fields(&self) -> [[u8; 32]; 4] {
        match self {
            Self::OfEvent(salt) => digest::field_salts(salt),
            Self::OfFields(salts) => *salts,
        }
    }
}
