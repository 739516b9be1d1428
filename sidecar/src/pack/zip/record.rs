//! The records of a zip, in the only form that a pack uses. Sections are those of PKWARE's APPNOTE.TXT, version 6.3.10.

use crate::pack::entry::Packed;
use crate::time::Time;

/// Marker in a field of 32 bits, which means that the value is in the Zip64 field. Smaller values need no Zip64.
const ZIP64: u64 = 0xffff_ffff;

/// Version of the specification that an entry needs: 2.0 for deflate, 4.5 for Zip64 (4.4.3).
const DEFLATE_VERSION: u16 = 20;
const ZIP64_VERSION: u16 = 45;

/// System of the attributes, Unix (4.4.2), and the attributes: a regular file, `rw-r--r--`.
const UNIX: u16 = 3 << 8;
const REGULAR_FILE: u32 = 0o100_644 << 16;

/// General purpose flag: CRC and sizes are in a data descriptor after the content (4.4.4).
const HAS_DESCRIPTOR: u16 = 1 << 3;

/// Method 8: deflate (4.4.5).
const DEFLATED: u16 = 8;

/// An entry, with the fields that are known at its start.
pub(super) struct Header<'a> {
    name: &'a str,
    offset: u64,
    time: u32,
    known: Option<&'a Packed>,
}

impl<'a> Header<'a> {
    /// Creates an entry at a position of the zip. Its sizes are known only after it has been written.
    pub fn streamed(name: &'a str, time: Time, offset: u64) -> Self {
        Self { name, offset, time: dos_time(time), known: None }
    }

    /// Creates an entry with known sizes.
    pub fn known(name: &'a str, time: Time, offset: u64, packed: &'a Packed) -> Self {
        Self { name, offset, time: dos_time(time), known: Some(packed) }
    }

    /// Returns the local file header (4.3.7).
    pub fn local(&self) -> Vec<u8> {
        let extra = self.known.map(|packed| zip64_field(&packed.zip64_sizes())).unwrap_or_default();
        let [bytes, packed] = self.known.map(Packed::short_sizes).unwrap_or_default();
        let mut out = b"PK\x03\x04".to_vec();
        out.extend(version(&extra).to_le_bytes());
        self.common(self.known.map_or(0, |known| known.crc), packed, bytes, &extra, &mut out);
        out.extend(self.name.as_bytes());
        out.extend(extra);
        out
    }

    /// Returns the header in the central directory (4.3.12).
    pub fn central(&self, content: &Packed) -> Vec<u8> {
        let mut large = content.zip64_sizes();
        large.extend((self.offset >= ZIP64).then_some(self.offset));
        let extra = zip64_field(&large);
        let [bytes, packed] = content.short_sizes();
        let mut out = b"PK\x01\x02".to_vec();
        out.extend((UNIX | version(&extra)).to_le_bytes());
        out.extend(version(&extra).to_le_bytes());
        self.common(content.crc, packed, bytes, &extra, &mut out);
        // The entry has no comment, is on disk 0, and has no internal attributes.
        out.extend([0; 6]);
        out.extend(REGULAR_FILE.to_le_bytes());
        out.extend(short(self.offset).to_le_bytes());
        out.extend(self.name.as_bytes());
        out.extend(extra);
        out
    }

    /// Appends the common fields of both headers.
    fn common(&self, crc: u32, packed: u32, bytes: u32, extra: &[u8], out: &mut Vec<u8>) {
        out.extend(if self.known.is_some() { 0 } else { HAS_DESCRIPTOR }.to_le_bytes());
        out.extend(DEFLATED.to_le_bytes());
        for field in [self.time, crc, packed, bytes] {
            out.extend(field.to_le_bytes());
        }
        for length in [self.name.len(), extra.len()] {
            out.extend((length as u16).to_le_bytes());
        }
    }
}

impl Packed {
    /// Returns the data descriptor (4.3.9). Its sizes have 64 bits if one of them needs them. A reader of a stream
    /// knows this at that point.
    pub(super) fn descriptor(&self) -> Vec<u8> {
        let mut out = b"PK\x07\x08".to_vec();
        out.extend(self.crc.to_le_bytes());
        for size in [self.packed, self.bytes] {
            if self.is_large() {
                out.extend(size.to_le_bytes());
            } else {
                out.extend(short(size).to_le_bytes());
            }
        }
        out
    }

    fn is_large(&self) -> bool {
        self.bytes.max(self.packed) >= ZIP64
    }

    /// Returns both sizes, if they are in the Zip64 field.
    fn zip64_sizes(&self) -> Vec<u64> {
        if self.is_large() { vec![self.bytes, self.packed] } else { Vec::new() }
    }

    /// Returns the sizes in fields of 32 bits, or the markers that replace them.
    fn short_sizes(&self) -> [u32; 2] {
        if self.is_large() { [u32::MAX; 2] } else { [short(self.bytes), short(self.packed)] }
    }
}

/// Returns the end of the directory (4.3.14 to 4.3.16). Only its position can need Zip64.
pub(super) fn end(entries: usize, start: u64, length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    if start >= ZIP64 {
        out.extend(b"PK\x06\x06");
        out.extend(44_u64.to_le_bytes());
        out.extend((UNIX | ZIP64_VERSION).to_le_bytes());
        out.extend(ZIP64_VERSION.to_le_bytes());
        // Number of this disk, and number of the directory's disk.
        out.extend([0; 8]);
        for field in [entries as u64, entries as u64, length as u64, start] {
            out.extend(field.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend((start + length as u64).to_le_bytes());
        // Total number of disks.
        out.extend(1_u32.to_le_bytes());
    }
    out.extend(b"PK\x05\x06\0\0\0\0");
    for count in [entries, entries] {
        out.extend((count as u16).to_le_bytes());
    }
    out.extend((length as u32).to_le_bytes());
    out.extend(short(start).to_le_bytes());
    // There is no comment.
    out.extend([0; 2]);
    out
}

/// Returns the Zip64 extra field with these values (4.5.3), which is empty without values.
fn zip64_field(values: &[u64]) -> Vec<u8> {
    if values.is_empty() {
        return Vec::new();
    }
    let mut out = 1_u16.to_le_bytes().to_vec();
    out.extend((values.len() as u16 * 8).to_le_bytes());
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
    out
}

fn version(extra: &[u8]) -> u16 {
    if extra.is_empty() { DEFLATE_VERSION } else { ZIP64_VERSION }
}

fn short(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Returns time and date in the format of MS-DOS (4.4.6), in UTC, because a zip has no time zone. A year outside the
/// format's range becomes 1980.
fn dos_time(time: Time) -> u32 {
    let text = time.to_string();
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    let years = part(0, 4).checked_sub(1980).filter(|years| *years < 128).unwrap_or(0);
    let date = years << 9 | part(5, 7) << 5 | part(8, 10);
    date << 16 | part(11, 13) << 11 | part(14, 16) << 5 | (part(17, 19) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(bytes: u64, packed: u64) -> Packed {
        Packed { crc: 7, bytes, packed }
    }

    fn at(bytes: &[u8], from: usize) -> u32 {
        u32::from_le_bytes(bytes[from..from + 4].try_into().unwrap())
    }

    #[test]
    fn zip64_stands_only_where_a_value_needs_it() {
        let time = Time::from_micros(0).unwrap();
        for (bytes, compressed, offset, values) in [
            (ZIP64 - 1, ZIP64 - 1, ZIP64 - 1, 0),
            (ZIP64, 5, 0, 2),
            (5, ZIP64, 0, 2),
            (5, 5, ZIP64, 1),
            (ZIP64, ZIP64, ZIP64, 3),
        ] {
            let content = packed(bytes, compressed);
            let extra = if values == 0 { 0 } else { 4 + 8 * values };
            let central = Header::streamed("a", time, offset).central(&content);
            assert_eq!(central.len(), 46 + 1 + extra);
            assert_eq!(at(&central, 20) == u32::MAX, values >= 2);
            assert_eq!(at(&central, 42) == u32::MAX, offset >= ZIP64);
            assert_eq!(Header::streamed("a", time, offset).local().len(), 31);
            assert_eq!(Header::known("a", time, offset, &content).local().len(), 31 + if values < 2 { 0 } else { 20 });
            assert_eq!(content.descriptor().len(), if values < 2 { 16 } else { 24 });
        }
        assert_eq!(end(3, ZIP64 - 1, 200).len(), 22);
        assert_eq!(end(3, ZIP64, 200).len(), 56 + 20 + 22);
    }

    #[test]
    fn a_year_that_has_no_field_is_1980() {
        for (text, year) in [("1979-12-31", 0), ("1980-01-01", 0), ("2107-12-31", 127), ("2108-01-01", 0)] {
            assert_eq!(dos_time(Time::parse(text).unwrap()) >> 25, year, "{text}");
        }
    }
}
