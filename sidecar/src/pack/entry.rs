//! Entries of a zip: their compression, and their description in the manifest.

use std::io::{self, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::text::hex;

/// Level of deflate, 1 to 9. For a million typical events, level 6 makes the output 5 % smaller, and level 1 makes it
/// 40 % larger. This level takes 0.6 times the processor time of level 6.
const LEVEL: u32 = 2;

/// A file of a pack, as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PackFile {
    /// Name in the zip.
    pub name: String,
    /// Uncompressed size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
}

/// The fields of the zip about a compressed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// CRC-32 of the content.
    pub crc: u32,
    /// Uncompressed size in bytes.
    pub bytes: u64,
    /// Compressed size in bytes.
    pub packed: u64,
}

/// A writer of an entry's content, which counts, hashes and compresses it. If it is dropped before [`Entry::finish`],
/// the deflate stream ends, but nothing records its length.
pub(super) struct Entry<W: Write> {
    deflate: DeflateEncoder<W>,
    crc: Crc,
    hash: Context,
    bytes: u64,
}

impl<W: Write> Entry<W> {
    /// Creates an entry that writes to `out`.
    pub fn new(out: W) -> Self {
        let deflate = DeflateEncoder::new(out, Compression::new(LEVEL));
        Self { deflate, crc: Crc::new(), hash: Context::new(&SHA256), bytes: 0 }
    }

    /// Ends the deflate stream. Returns the output, and the fields of manifest and zip about the entry.
    ///
    /// # Errors
    /// Returns the errors of the output.
    pub fn finish(mut self, name: &str) -> io::Result<(W, PackFile, Packed)> {
        self.deflate.try_finish()?;
        let packed = Packed { crc: self.crc.sum(), bytes: self.bytes, packed: self.deflate.total_out() };
        let file = PackFile { name: name.to_owned(), bytes: self.bytes, sha256: hex(self.hash.finish().as_ref()) };
        Ok((self.deflate.finish()?, file, packed))
    }
}

impl<W: Write> Write for Entry<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.deflate.write(bytes)?;
        self.crc.update(&bytes[..written]);
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        // The end of the entry flushes it. An earlier flush of a deflate stream costs compression.
        Ok(())
    }
}
