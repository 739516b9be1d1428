use std::borrow::Cow;

use crate::field::Field;
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
    /// The whole line.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The head: the bytes from the opening brace to the closing quote of the outcome.
    pub fn head(&self) -> &'a str {
        self.head.raw
    }

    /// The id of the event, at least 1.
    pub fn id(&self) -> i64 {
        self.head.id
    }

    /// The workspace. Borrowed from the line unless it holds an escape, as all texts of the head.
    pub fn workspace(&self) -> Cow<'a, str> {
        string::unescape(self.head.workspace)
    }

    /// When the event happened, in microseconds since 1970-01-01T00:00:00Z.
    pub fn occurred_at(&self) -> i64 {
        self.head.occurred_at
    }

    /// When the event was recorded, in microseconds since 1970-01-01T00:00:00Z.
    pub fn recorded_at(&self) -> i64 {
        self.head.recorded_at
    }

    /// The category.
    pub fn category(&self) -> Cow<'a, str> {
        string::unescape(self.head.category)
    }

    /// The action.
    pub fn action(&self) -> Cow<'a, str> {
        string::unescape(self.head.action)
    }

    /// The outcome.
    pub fn outcome(&self) -> Cow<'a, str> {
        string::unescape(self.head.outcome)
    }

    /// The leaf index that the line claims, counted from 0; none if the event is not in a log yet.
    ///
    /// It is the one part of a line that [`Line::leaf_hash`] does not cover.
    pub fn leaf(&self) -> Option<u64> {
        self.leaf
    }

    /// Whether the line is a stub, which shows none of the four fields and not their digests
    /// either.
    pub fn is_stub(&self) -> bool {
        matches!(self.content, Content::Stub(_))
    }

    /// The raw text of a field's value, which is JSON; none if the line does not show it.
    pub fn shown(&self, field: Field) -> Option<&'a str> {
        match &self.content {
            Content::Fields { parts, .. } => match parts[field as usize] {
                Part::Shown(raw) => Some(raw),
                Part::Withheld(_) => None,
            },
            Content::Stub(_) => None,
        }
    }

    /// The digest of a field: computed if the line shows the field, as given if it is withheld,
    /// none in a stub.
    pub fn field_digest(&self, field: Field) -> Option<[u8; 32]> {
        match &self.content {
            Content::Fields { parts, salts } => Some(parts[field as usize].digest(&salts.of_fields()[field as usize])),
            Content::Stub(_) => None,
        }
    }

    /// The body: computed from the digests of the fields, or as given in a stub.
    pub fn body(&self) -> [u8; 32] {
        match &self.content {
            Content::Fields { parts, salts } => {
                let salts = salts.of_fields();
                digest::body(&Field::ALL.map(|field| parts[field as usize].digest(&salts[field as usize])))
            }
            Content::Stub(body) => *body,
        }
    }

    /// The leaf hash, the same for all forms of one event's line.
    pub fn leaf_hash(&self) -> [u8; 32] {
        digest::leaf_hash(self.head.raw.as_bytes(), &self.body())
    }
}

/// The head: its raw text, and its values, strings as they stand between their quotes.
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

/// What stands between the head and the leaf.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one; a box would cost an allocation a line")]
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
