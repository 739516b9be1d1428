use crate::encoding::{base64, hex};
use crate::error::Error;
use crate::{json, string, time};

/// A position in a text, from which the parts of the format are read in turn.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the text that was read since `start`, an earlier [`Cursor::position`].
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Skips `literal` and returns true if the text continues with it.
    pub(crate) fn has(&mut self, literal: &str) -> bool {
        let found = self.rest().starts_with(literal.as_bytes());
        self.at += if found { literal.len() } else { 0 };
        found
    }

    pub(crate) fn literal(&mut self, literal: &'static str) -> Result<(), Error> {
        if self.has(literal) { Ok(()) } else { Err(self.expected(literal)) }
    }

    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.expected("the end of the line")) }
    }

    /// Reads a string, and returns the raw text between its quotes.
    pub(crate) fn string(&mut self) -> Result<&'a str, Error> {
        let start = self.at;
        self.at = string::end(self.text.as_bytes(), start).map_err(into_error)?;
        Ok(&self.text[start + 1..self.at - 1])
    }

    pub(crate) fn string_or_null(&mut self) -> Result<(), Error> {
        if self.has("null") { Ok(()) } else { self.string().map(drop) }
    }

    pub(crate) fn object(&mut self) -> Result<(), Error> {
        self.at = json::object_end(self.text.as_bytes(), self.at).map_err(into_error)?;
        Ok(())
    }

    /// Reads an integer from 0 to 2⁶³ − 1.
    pub(crate) fn number(&mut self) -> Result<i64, Error> {
        let length = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = &self.text[self.at..self.at + length];
        let has_one_form = digits == "0" || !digits.starts_with('0');
        let value = digits.parse().ok().filter(|_| has_one_form);
        let value = value.ok_or_else(|| self.expected("an integer from 0 to 2^63 - 1"))?;
        self.at += length;
        Ok(value)
    }

    pub(crate) fn time(&mut self) -> Result<i64, Error> {
        self.fixed(27, time::from_text, "a time")
    }

    pub(crate) fn hex(&mut self) -> Result<[u8; 32], Error> {
        self.fixed(64, hex, "64 hexadecimal digits")
    }

    pub(crate) fn base64<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.fixed(N.div_ceil(3) * 4, base64, "base64 of the right length")
    }

    pub(crate) fn expected(&self, expected: &'static str) -> Error {
        Error::Line { position: self.at, expected }
    }

    /// Reads a quoted value of fixed length.
    fn fixed<T>(
        &mut self,
        length: usize,
        read: impl FnOnce(&[u8]) -> Option<T>,
        expected: &'static str,
    ) -> Result<T, Error> {
        let value = match self.rest().get(..length + 2) {
            Some([b'"', inner @ .., b'"']) => read(inner),
            _ => None,
        };
        let value = value.ok_or_else(|| self.expected(expected))?;
        self.at += length + 2;
        Ok(value)
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }
}

fn into_error((position, expected): (usize, &'static str)) -> Error {
    Error::Line { position, expected }
}
