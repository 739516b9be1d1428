//! A JSON text as a tree. The text keeps its form, apart from the values that are replaced.

use std::borrow::Cow;

use crate::tree::{Node, Replacement, Tree};

/// A JSON text and the places of its values.
pub struct Document<'a> {
    text: &'a str,
    items: Vec<Item<'a>>,
}

/// A value, in the order of the text.
struct Item<'a> {
    kind: Kind,
    /// The key, if the value stands in an object.
    key: Cow<'a, str>,
    /// The characters of a string.
    string: Cow<'a, str>,
    start: usize,
    end: usize,
    /// The index of the value behind this one and all within it.
    next: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Literal,
    Number,
    String,
    Object,
    Array,
}

impl<'a> Document<'a> {
    /// Parses an object or array. Returns None for any other text. White space may surround it.
    pub fn parse(text: &'a str) -> Option<Document<'a>> {
        let mut reader = Reader { text, at: 0 };
        let mut items: Vec<Item<'a>> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        loop {
            let container = open.last().map(|index| items[*index].kind);
            let key = match container {
                Some(Kind::Object) => {
                    let key = reader.string()?;
                    reader.expect(b':')?;
                    key
                }
                _ => Cow::Borrowed(""),
            };
            let start = reader.next()?;
            let (kind, string) = match text.as_bytes()[start] {
                b'{' | b'[' => {
                    reader.at += 1;
                    (if text.as_bytes()[start] == b'{' { Kind::Object } else { Kind::Array }, Cow::Borrowed(""))
                }
                _ if container.is_none() => return None,
                b'"' => (Kind::String, reader.string()?),
                b'-' | b'0'..=b'9' => (Kind::Number, reader.word()?),
                _ => (Kind::Literal, reader.literal()?),
            };
            let index = items.len();
            items.push(Item { kind, key, string, start, end: reader.at, next: index + 1 });
            if matches!(kind, Kind::Object | Kind::Array) {
                open.push(index);
                let next = text.as_bytes()[reader.next()?];
                if next != b'}' && next != b']' {
                    continue;
                }
            }
            // Closes what ends here. Another value follows a comma.
            loop {
                let Some(&innermost) = open.last() else {
                    return reader.next().is_none().then_some(Document { text, items });
                };
                let at = reader.next()?;
                reader.at += 1;
                match (text.as_bytes()[at], items[innermost].kind) {
                    (b',', _) if items.len() > innermost + 1 => break,
                    (b'}', Kind::Object) | (b']', Kind::Array) => {
                        open.pop();
                        let next = items.len();
                        items[innermost].next = next;
                        items[innermost].end = reader.at;
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Returns the object or array.
    pub fn root(&'a self) -> Node<'a, Part<'a>> {
        Part { document: self, index: 0 }.node()
    }

    /// Returns the text with the replacements in place.
    pub fn with(&self, replacements: &[Replacement]) -> String {
        let mut result = String::with_capacity(self.text.len());
        let mut copied = 0;
        let mut pending = replacements.iter().peekable();
        let scalars = self.items.iter().filter(|item| !matches!(item.kind, Kind::Object | Kind::Array));
        for (index, item) in scalars.enumerate() {
            if let Some(replacement) = pending.next_if(|replacement| replacement.scalar == index) {
                result.push_str(&self.text[copied..item.start]);
                result.push_str(&serde_json::Value::from(replacement.text.as_str()).to_string());
                copied = item.end;
            }
        }
        result.push_str(&self.text[copied..]);
        result
    }
}

/// An object or array of a document.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    document: &'a Document<'a>,
    index: usize,
}

impl<'a> Part<'a> {
    fn item(self) -> &'a Item<'a> {
        &self.document.items[self.index]
    }

    fn node(self) -> Node<'a, Part<'a>> {
        match self.item().kind {
            Kind::Literal => Node::Literal,
            Kind::Number => Node::Number,
            Kind::String => Node::String(&self.item().string),
            Kind::Object => Node::Object(self),
            Kind::Array => Node::Array(self),
        }
    }
}

impl<'a> Tree<'a> for Part<'a> {
    type Keys = std::iter::Map<Pairs<'a>, fn((&'a str, Node<'a, Part<'a>>)) -> &'a str>;
    type Pairs = Pairs<'a>;
    type Elements = Elements<'a>;

    fn keys(self) -> Self::Keys {
        self.pairs().map(|(key, _)| key)
    }

    fn pairs(self) -> Pairs<'a> {
        Pairs(self.elements())
    }

    fn elements(self) -> Elements<'a> {
        Elements { document: self.document, index: self.index + 1, end: self.item().next }
    }
}

/// The values directly in an object or array.
pub struct Elements<'a> {
    document: &'a Document<'a>,
    index: usize,
    end: usize,
}

impl<'a> Elements<'a> {
    fn part(&mut self) -> Option<Part<'a>> {
        let part = Part { document: self.document, index: self.index };
        (self.index < self.end).then(|| {
            self.index = part.item().next;
            part
        })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Node<'a, Part<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.part().map(Part::node)
    }
}

/// The pairs of an object.
pub struct Pairs<'a>(Elements<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Node<'a, Part<'a>>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.part().map(|part| (&*part.item().key, part.node()))
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Skips white space, and returns the position of the next character.
    fn next(&mut self) -> Option<usize> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
        Some(self.at)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        let at = self.next()?;
        self.at += 1;
        (self.text.as_bytes()[at] == byte).then_some(())
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            self.at += memchr::memchr2(b'"', b'\\', &bytes[self.at..])?;
            if bytes[self.at] == b'"' {
                break;
            }
            self.at += 2;
            if self.at > bytes.len() {
                return None;
            }
        }
        let characters = &self.text[start..self.at];
        self.at += 1;
        if !characters.contains('\\') {
            return Some(Cow::Borrowed(characters));
        }
        // A lone surrogate has no character.
        let read = serde_json::from_str(&self.text[start - 1..self.at]).ok();
        Some(read.map_or(Cow::Borrowed(characters), Cow::Owned))
    }

    fn word(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        let rest = &self.text[start..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
        self.at += end;
        (end > 0).then(|| Cow::Borrowed(&rest[..end]))
    }

    fn literal(&mut self) -> Option<Cow<'a, str>> {
        self.word().filter(|word| ["true", "false", "null"].contains(&word.as_ref()))
    }
}
