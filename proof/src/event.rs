use crate::encoding::{write_base64, write_hex};
use crate::error::Error;
use crate::field::Field;
use crate::layout::{
    ADJUSTED_KEY, MASKED_KEY, MOST_MASKED, SOURCE_KEYS, write_leaf, write_number, write_salts, write_strings,
};
use crate::salt::{Kept, Salt};
use crate::string::{write as write_string, write_or_null};
use crate::{digest, json, time};

/// An audit event, borrowed from its row.
///
/// `T` holds the targets. It is a slice or array of strings, or any iterator over strings that is cheap to clone. A
/// caller need not collect them.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a, T = &'a [&'a str]> {
    /// The id, at least 1.
    pub id: i64,
    /// The workspace.
    pub workspace: &'a str,
    /// The time of the event, in microseconds since 1970-01-01T00:00:00Z, from [`time::MIN`] to [`time::MAX`].
    pub occurred_at: i64,
    /// The time of the record, in the same unit and range.
    pub recorded_at: i64,
    /// The category of the action.
    pub category: &'a str,
    /// The name of what was done.
    pub action: &'a str,
    /// The outcome of the action.
    pub outcome: &'a str,
    /// The person or program that acted, if known.
    pub actor: Option<&'a str>,
    /// The things that the action was done to, in the order of the row.
    pub targets: T,
    /// The origin of the event.
    pub source: Source<'a>,
    /// The details: an object, in PostgreSQL's text of the stored `jsonb`.
    pub details: &'a str,
    /// The salt, random for each event. If a field was erased, the value that the event has for it does not matter.
    pub salt: Salt,
    /// The leaf index in the workspace log, from 0 to 2⁶³ − 1. None if the event is not in the log yet.
    pub leaf: Option<u64>,
}

/// The origin of an event, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Source<'a> {
    /// The address of the user, as the application sees it.
    pub ip: Option<&'a str>,
    /// The user agent of the request.
    pub user_agent: Option<&'a str>,
    /// The session of the application.
    pub session_id: Option<&'a str>,
    /// The request of the application.
    pub request_id: Option<&'a str>,
    /// The role that logged in to the database.
    pub database_user: Option<&'a str>,
    /// The name that the database connection set for itself.
    pub application_name: Option<&'a str>,
    /// The address of the client of the database connection.
    pub client_addr: Option<&'a str>,
    /// The number of secrets that were masked in the details, up to 999,999,999. The line omits 0.
    pub masked: u32,
    /// The names of the values that were changed or dropped because they could not be stored. The line omits an empty
    /// list.
    pub adjusted: &'a [&'a str],
}

impl<T> Event<'_, T>
where
    T: Clone + IntoIterator<Item: AsRef<str>>,
{
    /// Appends the line of the event to `out`, without a line feed. It is a full line, or one that withholds the erased
    /// fields.
    ///
    /// [`crate::Line::parse`] accepts the line. After an error, `out` is unchanged.
    ///
    /// # Errors
    /// [`Error::Number`], [`Error::Time`] or [`Error::Details`] if the event has no line.
    pub fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let times = self.check()?;
        self.write_head(&times, out);
        match &self.salt {
            Salt::Whole(salt) => {
                for field in Field::ALL {
                    out.extend_from_slice(field.key().as_bytes());
                    self.write_field(field, out);
                }
                out.extend_from_slice(br#","salt":"#);
                write_base64(salt, out);
            }
            Salt::Redacted(_) => {
                let shares = self.salt.shares();
                for field in Field::ALL {
                    if let Kept::Digest(digest) = &shares[field as usize] {
                        out.extend_from_slice(field.digest_key().as_bytes());
                        write_hex(digest, out);
                    } else {
                        out.extend_from_slice(field.key().as_bytes());
                        self.write_field(field, out);
                    }
                }
                write_salts(
                    Field::ALL.into_iter().zip(&shares).filter_map(|(field, share)| match share {
                        Kept::Salt(salt) => Some((field, salt)),
                        Kept::Digest(_) => None,
                    }),
                    out,
                );
            }
        }
        write_leaf(self.leaf, out);
        Ok(())
    }

    /// Returns the digest of a field, the same that a parsed line has. `scratch` is overwritten. Reuse it to save
    /// allocations.
    ///
    /// # Errors
    /// The errors of [`Event::write_line`].
    pub fn field_digest(&self, field: Field, scratch: &mut Vec<u8>) -> Result<[u8; 32], Error> {
        self.check()?;
        Ok(self.digest(field, self.salt.share(field), scratch))
    }

    /// Returns the body of the event, the same that a parsed line has. `scratch` is overwritten. Reuse it to save
    /// allocations.
    ///
    /// # Errors
    /// The errors of [`Event::write_line`].
    pub fn body(&self, scratch: &mut Vec<u8>) -> Result<[u8; 32], Error> {
        self.check()?;
        Ok(self.unchecked_body(scratch))
    }

    /// Returns the leaf hash of the event, the same that a parsed line has. `scratch` is overwritten. Reuse it to save
    /// allocations.
    ///
    /// # Errors
    /// The errors of [`Event::write_line`].
    pub fn leaf_hash(&self, scratch: &mut Vec<u8>) -> Result<[u8; 32], Error> {
        let times = self.check()?;
        let body = self.unchecked_body(scratch);
        scratch.clear();
        self.write_head(&times, scratch);
        Ok(digest::leaf_hash(scratch, &body))
    }

    /// Refuses an event that has no line. Returns the texts of the two times, which exist only for times in range.
    pub(crate) fn check(&self) -> Result<[[u8; 27]; 2], Error> {
        if self.id < 1 {
            return Err(Error::Number { key: "id", value: self.id.into() });
        }
        if let Some(leaf) = self.leaf.filter(|leaf| *leaf > i64::MAX.cast_unsigned()) {
            return Err(Error::Number { key: "leaf", value: leaf.into() });
        }
        if self.source.masked > MOST_MASKED {
            return Err(Error::Number { key: "masked", value: self.source.masked.into() });
        }
        let text = |key, micros| time::to_text(micros).ok_or(Error::Time { key, micros });
        let times = [text("occurred_at", self.occurred_at)?, text("recorded_at", self.recorded_at)?];
        match json::object_end(self.details.as_bytes(), 0) {
            Ok(end) if end == self.details.len() => Ok(times),
            Ok(position) => Err(Error::Details { position, expected: "the end of the details" }),
            Err((position, expected)) => Err(Error::Details { position, expected }),
        }
    }

    fn unchecked_body(&self, scratch: &mut Vec<u8>) -> [u8; 32] {
        let shares = self.salt.shares();
        digest::body(&Field::ALL.map(|field| self.digest(field, shares[field as usize], scratch)))
    }

    fn digest(&self, field: Field, share: Kept, scratch: &mut Vec<u8>) -> [u8; 32] {
        let salt = match share {
            Kept::Salt(salt) => salt,
            Kept::Digest(digest) => return digest,
        };
        // The raw text of the details is the details themselves.
        if field == Field::Details {
            return digest::field_digest(&salt, self.details.as_bytes());
        }
        scratch.clear();
        self.write_field(field, scratch);
        digest::field_digest(&salt, scratch)
    }

    pub(crate) fn write_head(&self, [occurred_at, recorded_at]: &[[u8; 27]; 2], out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"v":1,"id":"#);
        write_number(self.id.cast_unsigned(), out);
        out.extend_from_slice(br#","workspace":"#);
        write_string(self.workspace, out);
        out.extend_from_slice(br#","occurred_at":""#);
        out.extend_from_slice(occurred_at);
        out.extend_from_slice(br#"","recorded_at":""#);
        out.extend_from_slice(recorded_at);
        out.extend_from_slice(br#"","category":"#);
        write_string(self.category, out);
        out.extend_from_slice(br#","action":"#);
        write_string(self.action, out);
        out.extend_from_slice(br#","outcome":"#);
        write_string(self.outcome, out);
    }

    pub(crate) fn write_field(&self, field: Field, out: &mut Vec<u8>) {
        match field {
            Field::Actor => write_or_null(self.actor, out),
            Field::Targets => write_strings(self.targets.clone(), out),
            Field::Source => {
                for (key, value) in SOURCE_KEYS.into_iter().zip(self.source.values()) {
                    out.extend_from_slice(key.as_bytes());
                    write_or_null(value, out);
                }
                if self.source.masked > 0 {
                    out.extend_from_slice(MASKED_KEY.as_bytes());
                    write_number(self.source.masked.into(), out);
                }
                if !self.source.adjusted.is_empty() {
                    out.extend_from_slice(ADJUSTED_KEY.as_bytes());
                    write_strings(self.source.adjusted, out);
                }
                out.push(b'}');
            }
            Field::Details => out.extend_from_slice(self.details.as_bytes()),
        }
    }
}

impl<'a> Source<'a> {
    /// Returns the values, in the order of [`SOURCE_KEYS`].
    fn values(&self) -> [Option<&'a str>; 7] {
        [
            self.ip,
            self.user_agent,
            self.session_id,
            self.request_id,
            self.database_user,
            self.application_name,
            self.client_addr,
        ]
    }
}
