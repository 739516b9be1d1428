use std::ops::Range;

use crate::error::Error;
use crate::event::Event;
use crate::field::Field;
use crate::lanes::{self, Job};
use crate::line::{Content, Line, Part, Salts};
use crate::salt::{Kept, Salt};
use crate::{digest, tree};

/// Leaf hashes of many events, computed together. On a processor without instructions for SHA-256, this takes a
/// fraction of the time of one event after the other.
///
/// The batch keeps all events until [`Batch::finish`], and needs about a kilobyte more for each.
#[derive(Default)]
pub struct Batch {
    /// The messages to hash, with room for the hashes that are parts of other messages.
    buffer: Vec<u8>,
    /// The jobs of each stage. Earlier stages compute the hashes that the messages of later stages contain.
    stages: [Vec<Job>; STAGES],
}

impl Batch {
    /// Adds an event.
    ///
    /// # Errors
    /// The errors of [`Event::write_line`]. The event is then not added.
    pub fn push_event<T>(&mut self, event: &Event<'_, T>) -> Result<(), Error>
    where
        T: Clone + IntoIterator<Item: AsRef<str>>,
    {
        let times = event.check()?;
        let body = self.push_leaf(|out| event.write_head(&times, out));
        let shares = match &event.salt {
            Salt::Whole(salt) => whole(salt),
            Salt::Redacted(_) => event.salt.shares().map(|share| match share {
                Kept::Salt(salt) => Share::Salt(salt),
                Kept::Digest(digest) => Share::Digest(digest),
            }),
        };
        self.push_fields(body, &shares, |field, out| event.write_field(field, out));
        Ok(())
    }

    /// Adds the event of a line of any form.
    pub fn push_line(&mut self, line: &Line<'_>) {
        let body = self.push_leaf(|out| out.extend_from_slice(line.head.raw.as_bytes()));
        match &line.content {
            Content::Stub(given) => self.buffer[body].copy_from_slice(given),
            Content::Fields { parts, salts } => {
                let mut shares = match salts {
                    Salts::OfEvent(salt) => whole(salt),
                    Salts::OfFields(salts) => salts.map(Share::Salt),
                };
                for (share, part) in shares.iter_mut().zip(parts) {
                    if let Part::Withheld(digest) = part {
                        *share = Share::Digest(*digest);
                    }
                }
                self.push_fields(body, &shares, |field, out| {
                    if let Part::Shown(raw) = parts[field as usize] {
                        out.extend_from_slice(raw.as_bytes());
                    }
                });
            }
        }
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.stages[LEAF].len()
    }

    /// Returns whether the batch has no events.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether [`Batch::finish`] should be called. More events would take memory and save no time.
    pub fn is_full(&self) -> bool {
        self.len() >= MOST_EVENTS || self.buffer.len() >= MOST_BYTES
    }

    /// Returns the leaf hashes of the events in the order in which they were added, and empties the batch.
    pub fn finish(&mut self) -> Vec<tree::Hash> {
        for stage in &self.stages {
            lanes::hash_all(&mut self.buffer, stage);
        }
        let hash = |job: &Job| *self.buffer[job.to..].first_chunk().expect("there is room for it");
        let hashes = self.stages[LEAF].iter().map(hash).collect();
        self.buffer.clear();
        self.stages.iter_mut().for_each(Vec::clear);
        hashes
    }

    /// Begins an event, and returns the place of its body.
    fn push_leaf(&mut self, write_head: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let to = self.room(32).start;
        let start = self.buffer.len();
        self.buffer.push(digest::LEAF_PREFIX);
        write_head(&mut self.buffer);
        let body = self.room(32);
        self.stages[LEAF].push(Job { message: start..body.end, to });
        body
    }

    fn push_fields(&mut self, body: Range<usize>, shares: &[Share; 4], mut write: impl FnMut(Field, &mut Vec<u8>)) {
        let digests = self.room(4 * 32);
        self.stages[BODY].push(Job { message: digests.clone(), to: body.start });
        for (field, share) in Field::ALL.into_iter().zip(shares) {
            let to = digests.start + field as usize * 32;
            let start = match share {
                Share::Digest(digest) => {
                    self.buffer[to..to + 32].copy_from_slice(digest);
                    continue;
                }
                Share::Salt(salt) => {
                    self.buffer.extend_from_slice(salt);
                    self.buffer.len() - 32
                }
                Share::OfEvent(salt) => self.push_salt(salt, field),
            };
            write(field, &mut self.buffer);
            self.stages[FIELD].push(Job { message: start..self.buffer.len(), to });
        }
    }

    /// Adds the jobs for the salt of a field: HMAC-SHA-256 (RFC 2104) of its name, with the salt of the event as the
    /// key. Returns the position of the salt.
    fn push_salt(&mut self, salt: &[u8; 16], field: Field) -> usize {
        let inner = self.push_key(salt, 0x36);
        self.buffer.extend_from_slice(field.name().as_bytes());
        let outer = self.push_key(salt, 0x5c);
        let inner_hash = self.room(32);
        self.stages[INNER].push(Job { message: inner..outer, to: inner_hash.start });
        let salt = self.room(32).start;
        self.stages[OUTER].push(Job { message: outer..inner_hash.end, to: salt });
        salt
    }

    fn push_key(&mut self, salt: &[u8; 16], pad: u8) -> usize {
        let start = self.buffer.len();
        self.buffer.extend(salt.iter().map(|byte| byte ^ pad));
        self.buffer.resize(start + 64, pad);
        start
    }

    fn room(&mut self, length: usize) -> Range<usize> {
        let start = self.buffer.len();
        self.buffer.resize(start + length, 0);
        start..start + length
    }
}

/// The known input of the digest of a field.
#[derive(Clone, Copy)]
enum Share {
    OfEvent([u8; 16]),
    Salt([u8; 32]),
    Digest([u8; 32]),
}

/// Returns the shares of an event that is whole. If messages are hashed one by one, it is cheaper to derive the four
/// salts together.
fn whole(salt: &[u8; 16]) -> [Share; 4] {
    if lanes::has_lanes() { [Share::OfEvent(*salt); 4] } else { digest::field_salts(salt).map(Share::Salt) }
}

const INNER: usize = 0;
const OUTER: usize = 1;
const FIELD: usize = 2;
const BODY: usize = 3;
const LEAF: usize = 4;
const STAGES: usize = 5;

const MOST_EVENTS: usize = 256;
const MOST_BYTES: usize = 1 << 19;
