use crate::cursor::Cursor;
use crate::encoding::write_base64;
use crate::error::Error;
use crate::tree::Hash;

/// A line of `proof/removed.json`: the leaf of a removed event, of which only the hash is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The leaf index, from 0 to 2⁶³ − 1.
    pub leaf: u64,
    /// The leaf hash.
    pub hash: Hash,
}

impl Removed {
    /// Parses a line, without the line feed or comma after it.
    ///
    /// # Errors
    /// [`Error::Line`] if the text is not such a line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let text =
            str::from_utf8(bytes).map_err(|error| Error::Line { position: error.valid_up_to(), expected: "UTF-8" })?;
        let mut cursor = Cursor::new(text);
        cursor.literal(r#"{"leaf":"#)?;
        let leaf = cursor.number()?.cast_unsigned();
        cursor.literal(r#","hash":"#)?;
        let hash = cursor.base64()?;
        cursor.literal("}")?;
        cursor.end()?;
        Ok(Self { leaf, hash })
    }

    /// Appends the line to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!(r#"{{"leaf":{},"hash":"#, self.leaf).as_bytes());
        write_base64(&self.hash, out);
        out.push(b'}');
    }
}
