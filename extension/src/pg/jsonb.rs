//! A reader of jsonb in place. The layout is that of PostgreSQL's `utils/jsonb.h`, the same on disk in versions 9.4 to
//! 18. A container has a header word, an entry word for each value, and then the data. An object has the entries of all
//! keys before those of all values.

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
    /// Returns the kind of the value in JSON's terms, with an article.
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
    /// Wraps `bytes`, which must be the content of a jsonb or a container in one.
    pub fn new(bytes: &'a [u8]) -> Container<'a> {
        Container { bytes }
    }

    /// Returns the bytes of the container. With a varlena header in front, they are a jsonb.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns whether the container is an object.
    pub fn is_object(&self) -> bool {
        self.header() & OBJECT != 0
    }

    /// Returns whether the container is an array. The wrapper of a lone scalar is not one.
    pub fn is_array(&self) -> bool {
        self.header() & (OBJECT | SCALAR) == 0
    }

    /// Returns the number of elements or pairs.
    pub fn len(&self) -> usize {
        (self.header() & COUNT_MASK) as usize
    }

    /// Returns the elements of an array.
    pub fn elements(&self) -> Elements<'a> {
        Entries::new(*self, self.len())
    }

    /// Returns the pairs of an object, in jsonb's order of keys.
    pub fn pairs(&self) -> Pairs<'a> {
        let count = self.len();
        let mut values = Entries::new(*self, 2 * count);
        values.skip_to(count);
        Pairs { keys: self.keys(), values }
    }

    /// Returns the keys of an object, in jsonb's order.
    pub fn keys(&self) -> Keys<'a> {
        let mut entries = Entries::new(*self, 2 * self.len());
        entries.count = self.len();
        Keys { entries }
    }

    /// Returns the values of an array or of an object.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let (total, skipped) = if self.is_object() { (2 * self.len(), self.len()) } else { (self.len(), 0) };
        let mut values = Entries::new(*self, total);
        values.skip_to(skipped);
        values
    }

    /// Returns an upper bound of the digits of all numbers together when they are written out. A number of a few bytes
    /// may have a hundred thousand digits.
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

/// The elements of an array.
pub type Elements<'a> = Entries<'a>;

/// The keys of an object.
pub struct Keys<'a> {
    entries: Entries<'a>,
}

impl<'a> Iterator for Keys<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        match self.entries.next()? {
            Value::String(key) => Some(key),
            _ => unreachable!("the keys of a jsonb object are strings"),
        }
    }
}

/// The pairs of an object.
pub struct Pairs<'a> {
    keys: Keys<'a>,
    values: Entries<'a>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.keys.next()?, self.values.next()?))
    }
}

/// An iterator over the entries of a container. It adds up where the data of each entry begins.
pub struct Entries<'a> {
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

    /// Goes on with the entry of this number, without reading those before it. Only some entries have an offset. The others
    /// have a length.
    fn skip_to(&mut self, index: usize) {
        let mut lengths = 0;
        for before in (self.index..index).rev() {
            let entry = self.container.word(1 + before);
            lengths += (entry & OFFSET_OR_LENGTH) as usize;
            if entry & HAS_OFFSET != 0 {
                break;
            }
        }
        self.offset = lengths;
        self.index = index;
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
                // SAFETY: PostgreSQL checks every text against the encoding of the database, which is UTF8.
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

/// Returns the digits of a numeric: those of its weight, in groups of four, plus its display scale
/// (`NumericShort` and `NumericLong` in PostgreSQL's `numeric.c`). `numeric` is a whole datum.
pub fn digits(numeric: &[u8]) -> usize {
    // The content follows the header of the datum, which has one byte or four.
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
