//! An event as bytes, in which it passes from one process to another.

use pgrx::pg_sys::Datum;

use crate::append::event::Event;
use crate::columns::{COLUMNS, COUNT};
use crate::pg::error::Error;
use crate::pg::values;

const NULL: u8 = 0;
const NUMBER: u8 = 1;
const BYTES: u8 = 2;

impl Event {
    /// Returns the values of the columns, and the idempotency key, as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        for (column, value) in COLUMNS.into_iter().zip(self.values(0)) {
            match value {
                None => bytes.push(NULL),
                Some(value) if column.is_number() => {
                    bytes.push(NUMBER);
                    bytes.extend((value.value() as u64).to_ne_bytes());
                }
                // SAFETY: a column that is not a number is a varlena. The datum lives as long as the event.
                Some(value) => push(&mut bytes, unsafe { values::varlena_bytes(value) }.0),
            }
        }
        match &self.idempotency {
            None => bytes.push(NULL),
            Some((_, key)) => push(&mut bytes, key.as_bytes()),
        }
        bytes
    }

    /// Makes the event that `to_bytes` has written, for the present transaction.
    ///
    /// # Errors
    /// `42P01` if the tables of the extension do not exist.
    pub fn of_bytes(bytes: &[u8]) -> Result<Event, Error> {
        let mut rest = Rest(bytes);
        let values: [Option<Datum>; COUNT] = std::array::from_fn(|_| match rest.byte() {
            NULL => None,
            NUMBER => Some(Datum::from(u64::from_ne_bytes(rest.chunk()))),
            _ => Some(values::varlena(&[rest.bytes()])),
        });
        let key = (rest.byte() != NULL).then(|| String::from_utf8_lossy(rest.bytes()).into_owned());
        Event::of_values(values, key)
    }
}

fn push(to: &mut Vec<u8>, bytes: &[u8]) {
    to.push(BYTES);
    to.extend((bytes.len() as u32).to_ne_bytes());
    to.extend_from_slice(bytes);
}

/// The bytes that are still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> u8 {
        let [byte] = self.chunk();
        byte
    }

    fn chunk<const N: usize>(&mut self) -> [u8; N] {
        let (chunk, rest) = self.0.split_first_chunk().expect("the event is whole");
        self.0 = rest;
        *chunk
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = u32::from_ne_bytes(self.chunk()) as usize;
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}
