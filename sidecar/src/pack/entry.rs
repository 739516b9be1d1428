//! Entries of a zip: how they are compressed, and what the manifest says about them.

use std::io::{self, Write};

use ring::digest::{Context, SHA256};
use serde::Serialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime};

use crate::text::hex;
use crate::time::Time;

/// Level of deflate, 1 to 9. Of a million typical events, level 6 makes 5 % less than this, level 1 makes 40 % more; this takes
/// 0.6 times the processor time of level 6.
const LEVEL: i64 = 2;

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

/// The content of an entry: counts and hashes what passes.
pub(super) struct Entry<'a, W> {
    out: &'a mut W,
    hash: Context,
    bytes: u64,
}

impl<'a, W: Write> Entry<'a, W> {
    /// Passes its content on to `out`.
    pub fn new(out: &'a mut W) -> Self {
        Self { out, hash: Context::new(&SHA256), bytes: 0 }
    }

    /// What the manifest says about it.
    pub fn into_file(self, name: &str) -> PackFile {
        PackFile { name: name.to_owned(), bytes: self.bytes, sha256: hex(self.hash.finish().as_ref()) }
    }
}

impl<W: Write> Write for Entry<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Its end flushes it; flushing a deflate stream before costs compression.
        Ok(())
    }
}

/// How an entry is compressed, and that it bears the time of the snapshot. `large`: it may exceed 4 GiB, which takes the
/// Zip64 form.
pub(super) fn options(snapshot: Time, large: bool) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(dos_time(snapshot))
        .unix_permissions(0o644)
        .large_file(large)
}

/// In UTC: a zip says nothing of time zones. A year that it cannot hold becomes 1980.
fn dos_time(time: Time) -> DateTime {
    let text = time.to_string();
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u16>().ok()).unwrap_or(0);
    let [month, day, hour, minute, second] =
        [(5, 7), (8, 10), (11, 13), (14, 16), (17, 19)].map(|(from, to)| part(from, to) as u8);
    DateTime::from_date_and_time(part(0, 4), month, day, hour, minute, second).unwrap_or_default()
}
