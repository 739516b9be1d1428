//! The directory of a zip, which may be malicious. FORMAT.md of `audit_proof` allows one form of each record, so that
//! every program unpacks the same files. Every other form is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::unreadable::Unreadable;

/// Maximum number of files in a pack.
const MOST_FILES: u16 = 64;

/// Maximum length of a name, in bytes.
const MOST_NAME: usize = 200;

/// Marker in a field of 32 bits, which means that the value is in a Zip64 field. Smaller values need no Zip64.
const ZIP64: u64 = 0xffff_ffff;

/// Lengths of the records in bytes, without the data after their fixed fields.
const LOCAL: u64 = 30;
const CENTRAL: usize = 46;
const END: u64 = 22;
const ZIP64_END: u64 = 56;
const ZIP64_LOCATOR: u64 = 20;

/// Maximum length of the directory, in bytes.
const MOST_DIRECTORY: usize = MOST_FILES as usize * (CENTRAL + MOST_NAME + 28);

/// Distance from the end of the file within which other programs search for the end record: its length and the longest
/// comment.
const SEARCHED: u64 = END + 0xffff;

/// An opened zip, and the position of each file in it.
pub(super) struct Directory {
    file: BufReader<File>,
    entries: BTreeMap<String, Entry>,
}

/// Position of a file's content, and the fields of the zip about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Position of the compressed content.
    pub start: u64,
    /// Compressed size in bytes.
    pub packed: u64,
    /// Uncompressed size in bytes.
    pub bytes: u64,
    /// CRC-32 of the content.
    pub crc: u32,
    /// Whether the content is compressed with deflate. Otherwise it is stored.
    pub deflated: bool,
}

impl Directory {
    /// Reads and checks everything except the content.
    ///
    /// # Errors
    /// Fails with [`Unreadable`].
    pub fn read(file: File) -> Result<Self, Unreadable> {
        let mut file = BufReader::with_capacity(256 << 10, file);
        let end = End::read(&mut file)?;
        let mut central = vec![0; end.length];
        file.seek(SeekFrom::Start(end.start))?;
        file.read_exact(&mut central)?;

        let mut fields = Fields(&central);
        let mut entries = BTreeMap::new();
        let mut position = 0;
        for _ in 0..end.entries {
            let header = Header::central(&mut fields)?;
            need(header.offset == position, "an entry does not begin where the one before it ends")?;
            let (entry, next) = header.locate(&mut file, end.start)?;
            position = next;
            need(entries.insert(header.name, entry).is_none(), "a name occurs twice")?;
        }
        need(fields.0.is_empty(), "the directory has bytes that belong to no entry")?;
        need(position == end.start, "the directory does not begin where the last entry ends")?;
        check_names(&entries)?;
        Ok(Self { file, entries })
    }

    /// Returns the entry with this name.
    pub fn get(&self, name: &str) -> Option<Entry> {
        self.entries.get(name).copied()
    }

    /// Returns all names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Returns the file, positioned at the content of an entry.
    ///
    /// # Errors
    /// Returns the errors of the file.
    pub fn seek(&mut self, entry: &Entry) -> io::Result<&mut BufReader<File>> {
        self.file.seek(SeekFrom::Start(entry.start))?;
        Ok(&mut self.file)
    }
}

/// The fields of the end record, together with those of a Zip64 record if there must be one.
struct End {
    entries: u16,
    /// Position of the directory.
    start: u64,
    /// Length of the directory in bytes.
    length: usize,
}

impl End {
    fn read(file: &mut (impl Read + Seek)) -> Result<Self, Unreadable> {
        let size = file.seek(SeekFrom::End(0))?;
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(size.saturating_sub(SEARCHED)))?;
        file.read_to_end(&mut tail)?;
        let record = tail.len().checked_sub(END as usize).map(|at| &tail[at..]);
        let Some(record) = record.filter(|record| record.starts_with(b"PK\x05\x06")) else {
            let elsewhere = tail.windows(4).any(|bytes| bytes == b"PK\x05\x06");
            return Err(if elsewhere {
                malformed("the file does not end with the end record")
            } else {
                Unreadable::NotAZip
            });
        };
        let mut fields = Fields(&record[4..]);
        need(fields.u32()? == 0, "the end record names another disk")?;
        let [here, entries] = [fields.u16()?, fields.u16()?];
        need(here == entries, "the end record counts the entries in two ways")?;
        need((1..=MOST_FILES).contains(&entries), "there are no entries, or more than 64")?;
        let [length, start] = [fields.u32()?, fields.u32()?];
        need(fields.u16()? == 0, "the end record has a comment")?;
        let mut end = Self { entries, start: start.into(), length: length as usize };
        need(end.length <= MOST_DIRECTORY, "the directory is longer than its entries can be")?;
        let mut after = size - END;
        if end.start == ZIP64 {
            after =
                after.checked_sub(ZIP64_LOCATOR + ZIP64_END).ok_or_else(|| malformed("a Zip64 record is missing"))?;
            end.read_zip64(file, after)?;
        }
        need(end.start + u64::from(length) == after, "the directory does not end where the end record begins")?;
        Ok(end)
    }

    /// Reads the Zip64 end record and its locator, which precede the end record.
    fn read_zip64(&mut self, file: &mut (impl Read + Seek), at: u64) -> Result<(), Unreadable> {
        let mut records = [0; (ZIP64_END + ZIP64_LOCATOR) as usize];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut records)?;
        let mut fields = Fields(&records);
        need(fields.take(4)? == b"PK\x06\x06", "a Zip64 record is missing")?;
        need(fields.u64()? == ZIP64_END - 12, "the Zip64 record is of another length")?;
        fields.made_by()?;
        need(fields.u16()? == 45, "the Zip64 record needs another version than 4.5")?;
        need(fields.u64()? == 0, "the Zip64 record names another disk")?;
        let counts = [fields.u64()?, fields.u64()?];
        need(counts == [u64::from(self.entries); 2], "the Zip64 record counts other entries than the end record")?;
        need(fields.u64()? == self.length as u64, "the Zip64 record has another size of the directory")?;
        self.start = fields.u64()?;
        need((ZIP64..=at).contains(&self.start), "a Zip64 field stands where none is needed")?;
        need(fields.take(4)? == b"PK\x06\x07", "the locator of the Zip64 record is missing")?;
        let locator = (fields.u32()?, fields.u64()?, fields.u32()?);
        need(locator == (0, at, 1), "the locator does not lead to the Zip64 record")
    }
}

/// A header of an entry, in the directory or before the content.
#[derive(Debug)]
struct Header {
    version: u16,
    flags: u16,
    method: u16,
    time: u32,
    crc: u32,
    packed: u64,
    bytes: u64,
    name: String,
    /// Position of the local header, which only the central header has.
    offset: u64,
}

impl Header {
    fn central(fields: &mut Fields<'_>) -> Result<Self, Unreadable> {
        need(fields.0.len() >= CENTRAL && fields.take(4)? == b"PK\x01\x02", "a header of the directory is missing")?;
        fields.made_by()?;
        let mut header = Self::common(fields)?;
        let [name, extra] = [fields.u16()?, fields.u16()?];
        need(fields.u16()? == 0, "an entry has a comment")?;
        need(fields.u16()? == 0, "an entry is on another disk")?;
        need(fields.u16()? == 0, "an entry has internal attributes")?;
        need(fields.u32()? == 0o100_644 << 16, "an entry is not a regular file with mode 0644")?;
        header.offset = fields.u32()?.into();
        header.rest(fields, name, extra, false)?;
        Ok(header)
    }

    /// Checks the local header that the central header refers to, and the data after it. Both headers must have the
    /// same values.
    fn locate(&self, file: &mut (impl Read + Seek), end: u64) -> Result<(Entry, u64), Unreadable> {
        let room = || malformed("an entry runs into the directory");
        let mut start = self.offset.checked_add(LOCAL).filter(|start| *start <= end).ok_or_else(room)?;
        let mut fixed = [0; LOCAL as usize];
        file.seek(SeekFrom::Start(self.offset))?;
        file.read_exact(&mut fixed)?;
        let mut fields = Fields(&fixed);
        need(fields.take(4)? == b"PK\x03\x04", "a local header is missing")?;
        let mut local = Self::common(&mut fields)?;
        let [name, extra] = [fields.u16()?, fields.u16()?];
        let mut rest = vec![0; usize::from(name) + usize::from(extra)];
        start += rest.len() as u64;
        need(start <= end, "an entry runs into the directory")?;
        file.read_exact(&mut rest)?;
        local.rest(&mut Fields(&rest), name, extra, self.is_streamed())?;

        let differ = |what: &str| malformed(&format!("local and central header of {} differ in {what}", self.name));
        for (what, same) in [
            ("name", local.name == self.name),
            ("version", local.version == self.version || local.version != 45 && self.version == 45),
            ("flags", local.flags == self.flags),
            ("method", local.method == self.method),
            ("time", local.time == self.time),
        ] {
            same.then_some(()).ok_or_else(|| differ(what))?;
        }
        let next = start.checked_add(self.packed).filter(|next| *next <= end).ok_or_else(room)?;
        let entry = Entry { start, packed: self.packed, bytes: self.bytes, crc: self.crc, deflated: self.method == 8 };
        if self.is_streamed() {
            need((local.crc, local.packed, local.bytes) == (0, 0, 0), "an entry has sizes before and in a descriptor")?;
            return Ok((entry, next + self.check_descriptor(file, next, end)?));
        }
        (local.crc == self.crc).then_some(()).ok_or_else(|| differ("CRC"))?;
        ((local.packed, local.bytes) == (self.packed, self.bytes)).then_some(()).ok_or_else(|| differ("sizes"))?;
        Ok((entry, next))
    }

    /// Parses the common fields of both headers, from the version to the sizes.
    fn common(fields: &mut Fields<'_>) -> Result<Self, Unreadable> {
        let header = Self {
            version: fields.u16()?,
            flags: fields.u16()?,
            method: fields.u16()?,
            time: fields.u32()?,
            crc: fields.u32()?,
            packed: fields.u32()?.into(),
            bytes: fields.u32()?.into(),
            name: String::new(),
            offset: 0,
        };
        need(matches!(header.flags, 0 | 8), "an entry has flags that are not allowed")?;
        need(matches!(header.method, 0 | 8), "an entry is neither stored nor deflated")?;
        need(header.method == 8 || header.flags == 0, "a stored entry has a data descriptor")?;
        Ok(header)
    }

    /// Parses name and extra field. The local header of a streamed entry has no sizes.
    fn rest(&mut self, fields: &mut Fields<'_>, name: u16, extra: u16, is_streamed: bool) -> Result<(), Unreadable> {
        let name = fields.take(name.into())?;
        need(is_plain(name), "the name of an entry is malformed")?;
        self.name = String::from_utf8_lossy(name).into_owned();
        let mut extra = Fields(fields.take(extra.into())?);
        let is_large = [self.bytes, self.packed].contains(&ZIP64);
        let mut large: Vec<&mut u64> = Vec::new();
        if is_large && !is_streamed {
            need(self.bytes == self.packed, "a Zip64 field has one size only")?;
            large.extend([&mut self.bytes, &mut self.packed]);
        }
        let is_far = self.offset == ZIP64;
        large.extend(is_far.then_some(&mut self.offset));
        let has_zip64 = !large.is_empty();
        if has_zip64 {
            let head = [extra.u16()?, extra.u16()?];
            need(head == [1, large.len() as u16 * 8], "an extra field is not the Zip64 field that is needed")?;
            for value in large {
                *value = extra.u64()?;
            }
            let needed = (!is_large || self.bytes.max(self.packed) >= ZIP64) && (!is_far || self.offset >= ZIP64);
            need(needed, "a Zip64 field stands where none is needed")?;
        }
        need(extra.0.is_empty(), "an entry has an extra field that is not allowed")?;
        let version = if has_zip64 { self.version == 45 } else { matches!(self.version, 10 | 20) };
        need(version, "an entry needs another version than its form")
    }

    /// Checks the data descriptor and returns its length.
    fn check_descriptor(&self, file: &mut (impl Read + Seek), at: u64, end: u64) -> Result<u64, Unreadable> {
        let is_large = self.bytes.max(self.packed) >= ZIP64;
        let length = if is_large { 24 } else { 16 };
        need(at + length <= end, "an entry runs into the directory")?;
        let mut record = [0; 24];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut record[..length as usize])?;
        let mut fields = Fields(&record[..length as usize]);
        need(fields.take(4)? == b"PK\x07\x08", "a data descriptor is missing")?;
        let crc = fields.u32()?;
        let mut size = || if is_large { fields.u64() } else { fields.u32().map(u64::from) };
        let said = (crc, size()?, size()?);
        need(said == (self.crc, self.packed, self.bytes), "a data descriptor differs from the directory")?;
        Ok(length)
    }

    fn is_streamed(&self) -> bool {
        self.flags == 8
    }
}

/// Consecutive little-endian fields.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| malformed("a record is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, length: usize) -> Result<u64, Unreadable> {
        Ok(self.take(length)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn u16(&mut self) -> Result<u16, Unreadable> {
        Ok(self.number(2)? as u16)
    }

    fn u32(&mut self) -> Result<u32, Unreadable> {
        Ok(self.number(4)? as u32)
    }

    fn u64(&mut self) -> Result<u64, Unreadable> {
        self.number(8)
    }

    /// Checks the version that made a record, which includes the system of the attributes.
    fn made_by(&mut self) -> Result<(), Unreadable> {
        need(self.u16()? >> 8 == 3, "a record is not made by Unix")
    }
}

/// Returns whether a name is the same path below the target folder on every system.
fn is_plain(name: &[u8]) -> bool {
    name.len() <= MOST_NAME
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(byte))
        && name.split(|byte| *byte == b'/').all(|part| !part.is_empty() && !part.ends_with(b".") && !is_reserved(part))
}

/// Returns whether Windows treats a part of a name as a device, even with an extension.
fn is_reserved(part: &[u8]) -> bool {
    let stem = part.split(|byte| *byte == b'.').next().unwrap_or_default().to_ascii_uppercase();
    match &stem[..] {
        b"CON" | b"PRN" | b"AUX" | b"NUL" => true,
        [b'C', b'O', b'M', digit] | [b'L', b'P', b'T', digit] => digit.is_ascii_digit(),
        _ => false,
    }
}

/// Refuses names that are equal on some systems, and a file that is also a folder.
fn check_names(entries: &BTreeMap<String, Entry>) -> Result<(), Unreadable> {
    let mut folded = BTreeSet::new();
    for name in entries.keys() {
        need(folded.insert(name.to_ascii_lowercase()), "two names differ only in case")?;
    }
    let is_folder = |name: &str| name.match_indices('/').any(|(at, _)| folded.contains(&name[..at]));
    need(!folded.iter().any(|name| is_folder(name)), "a name is that of a file and of a folder")
}

fn need(holds: bool, rule: &str) -> Result<(), Unreadable> {
    if holds { Ok(()) } else { Err(malformed(rule)) }
}

fn malformed(rule: &str) -> Unreadable {
    Unreadable::Malformed(rule.to_owned())
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn names_lead_downward() {
        for name in ["events.json", "proof/log.json", "README.txt", ".a", "CONE", "com10", "a-b_c"] {
            assert!(is_plain(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "C:\\a",
            "a\\b",
            "a\0b",
            "é",
            "...",
            "a b",
            "a.",
            "a./b",
            "con",
            "a/NUL.txt",
            "Com1.a.b",
            "lpt9",
        ] {
            assert!(!is_plain(name.as_bytes()), "{name}");
        }
        assert!(is_plain(&[b'a'; 200]) && !is_plain(&[b'a'; 201]));
    }
}
