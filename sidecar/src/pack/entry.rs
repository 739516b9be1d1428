//! Entries of a zip: how they are compressed, and what the manifest says about them.

use std::io::{self, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use ring::digest::{Context, SHA256};
use serde::Serialize;

use crate::text::hex;

/// Level of deflate, 1 to 9. Of a million typical events, level 6 makes 5 % less than this, level 1 makes 40 % more; this takes
/// 0.6 times the processor time of level 6.
const LEVEL: u32 = 2;

/// One file of a pack, as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackFile {
    /// Its name in the zip.
    pub name: String,
    /// Its size, unpacked, in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// What the zip says about a compressed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// CRC-32 of its content.
    pub crc: u32,
    /// Its size, unpacked, in bytes.
    pub bytes: u64,
    /// Its size, compressed, in bytes.
    pub packed: u64,
}

/// The content of an entry: counts, hashes and compresses what passes. If it is dropped before [`Entry::finish`], the
/// deflate stream ends, and nothing says how long it is.
pub(super) struct Entry<W: Write> {
    deflate: DeflateEncoder<W>,
    crc: Crc,
    hash: Context,
    bytes: u64,
}

impl<W: Write> Entry<W> {
    /// Passes its content on to `out`.
    pub fn new(out: W) -> Self {
        let deflate = DeflateEncoder::new(out, Compression::new(LEVEL));
        Self { deflate, crc: Crc::new(), hash: Context::new(&SHA256), bytes: 0 }
    }

    /// Ends the deflate stream; the output, and what manifest and zip say about the entry.
    ///
    /// # Errors
    /// Those of the output.
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
        // Its end flushes it; flushing a deflate stream before costs compression.
        Ok(())
    }
}
