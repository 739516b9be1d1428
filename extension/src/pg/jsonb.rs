//! Reads jsonb in place. The layout is that of PostgreSQL's `utils/jsonb.h`, the same on disk in versions 9.4 to 18: a
//! header word, an entry word per value (for objects: all keys, then all values), then the data.

const COUNT_MASK: u32 = 0x0FFF_FFFF;
const SCALAR: u32 = 0x1000_0000;
const OBJECT: u32 = 0x2000_0000;

const OFFSET_OR_LENGTH: u32 = 0x0FFF_FFFF;
const HAS_OFFSET: u32 = 0x8000_0000;
const TYPE_MASK: u32 = 0x7000_0000;
const STRING: u32 = 0x0000_0000;
const NUMERIC: u32 = 0x1000_0000;
const FALSE: u32 = 0x2000_0000;
const TRUE: u32 = 0x3000_0000;
const NULL: u32 = 0x4000_0000;

/// An array or object.
#[derive(Clone, Copy)]
pub struct Container<'a> {
    bytes: &'a [u8],
}

/// A value in a container.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, as a numeric datum.
    Number(&'a [u8]),
    /// A string.
    String(&'a str),
    /// An array or object.
    Container(Container<'a>),
}

impl Value<'_> {
    /// What it is, in the words of JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Container(container) if container.is_object() => "an object",
            Value::Container(_) => "an array",
        }
    }
}

impl<'a> Container<'a> {
    /// The container in `bytes`, which is the content of a jsonb or one of its parts.
    pub fn new(bytes: &'a [u8]) -> Container<'a> {
        Container { bytes }
    }

    /// The bytes of the container: with a header in front, a jsonb of its own.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.header() & OBJECT != 0
    }

    /// Whether it is an array, not the wrapper of a lone scalar.
    pub fn is_array(&self) -> bool {
        self.header() & (OBJECT | SCALAR) == 0
    }

    /// How many elements or pairs there are.
    pub fn len(&self) -> usize {
        (self.header() & COUNT_MASK) as usize
    }

    /// The elements of an array.
    pub fn elements(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        Entries::new(*self, self.len())
    }

    /// The pairs of an object, in jsonb's order of keys.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let count = self.len();
        let keys = Entries::new(*self, 2 * count).take(count);
        let values = Entries::new(*self, 2 * count).skip(count);
        keys.zip(values).filter_map(|(key, value)| match key {
            Value::String(key) => Some((key, value)),
            _ => None,
        })
    }

    /// The values, of an array or of an object.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let (total, skipped) = if self.is_object() { (2 * self.len(), self.len()) } else { (self.len(), 0) };
        Entries::new(*self, total).skip(skipped)
    }

    /// How many digits its numbers have at most when they are written out: a few bytes may stand for a hundred thousand.
    pub fn digits(&self) -> usize {
        let digits = self.values().map(|value| match value {
            Value::Number(numeric) => digits(numeric),
            Value::Container(container) => container.digits(),
            _ => 0,
        });
        digits.fold(0, usize::saturating_add)
    }

    fn header(&self) -> u32 {
        self.word(0)
    }

    fn word(&self, index: usize) -> u32 {
        let at = 4 * index;
        u32::from_ne_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }
}

/// Walks the entries of a container, adding up where each one's data begins.
struct Entries<'a> {
    container: Container<'a>,
    data: usize,
    count: usize,
    index: usize,
    offset: usize,
}

impl<'a> Entries<'a> {
    fn new(container: Container<'a>, count: usize) -> Entries<'a> {
        Entries { container, data: 4 + 4 * count, count, index: 0, offset: 0 }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.index == self.count {
            return None;
        }
        let entry = self.container.word(1 + self.index);
        let start = self.offset;
        let size = (entry & OFFSET_OR_LENGTH) as usize;
        let end = if entry & HAS_OFFSET != 0 { size } else { start + size };
        self.index += 1;
        self.offset = end;
        Some(match entry & TYPE_MASK {
            STRING => {
                let bytes = &self.container.bytes[self.data + start..self.data + end];
                // SAFETY: PostgreSQL checks every text against the database's encoding, which is UTF8.
                Value::String(unsafe { std::str::from_utf8_unchecked(bytes) })
            }
            NUMERIC => {
                let aligned = start.next_multiple_of(4);
                Value::Number(&self.container.bytes[self.data + aligned..self.data + end])
            }
            FALSE | TRUE => Value::Bool,
            NULL => Value::Null,
            _ => {
                let aligned = start.next_multiple_of(4);
                Value::Container(Container::new(&self.container.bytes[self.data + aligned..self.data + end]))
            }
        })
    }
}

/// The digits of a numeric: of its weight, in groups of four, and of its display scale (`NumericShort` and `NumericLong` in PostgreSQL's
/// `numeric.c`).
fn digits(numeric: &[u8]) -> usize {
    // Behind the header of the datum, of one byte or four.
    let short_datum = if cfg!(target_endian = "big") { numeric[0] & 0x80 != 0 } else { numeric[0] & 1 == 1 };
    let content = &numeric[if short_datum { 1 } else { 4 }..];
    let word = |at: usize| content.get(at..at + 2).map_or(0, |bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
    let header = word(0);
    let (weight, scale) = if header & 0x8000 != 0 {
        let weight = i32::from(header & 0x3F) - if header & 0x40 == 0 { 0 } else { 0x40 };
        (weight, (header & 0x1F80) >> 7)
    } else {
        (i32::from(word(2).cast_signed()), header & 0x3FFF)
    };
    4 * (weight.max(0) as usize + 1) + usize::from(scale)
}
