//! The files of a pack. Each file is read once and hashed while it is read, up to the size in the manifest.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};

use audit_proof::Line;
use audit_proof::pack::{Array, NotAnArray, Problem};
use ring::digest::{Context, SHA256};

use super::claim::{Claimed, Listed};
use super::directory::Directory;
use super::inflate::Content;
use super::unreadable::Unreadable;
use crate::pack::file_name::{EVENTS, MANIFEST, REMOVED, STUBS};
use crate::text::hex;

/// Maximum size of a manifest, in bytes.
const MOST_MANIFEST: u64 = 16 << 20;

/// Maximum size of a file that is read as a whole, in bytes. It suffices for the proof of about ten million scattered
/// events.
const MOST_SMALL: u64 = 1 << 30;

/// Maximum size of a line, in bytes. The escaped form of a value in PostgreSQL is always smaller.
const MOST_LINE: u64 = 2 << 30;

/// Minimum size of a line, in bytes.
const LEAST_LINE: u64 = 64;

/// Number of bytes that are read at a time.
const BLOCK: usize = 64 << 10;

/// Progress of the verification.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Number of bytes of content that have been read.
    pub bytes: u64,
    /// Total number of bytes of content.
    pub of: u64,
}

/// The files that have not been read yet.
pub(super) struct Contents<'p> {
    directory: Directory,
    listed: Vec<Listed>,
    unread: BTreeSet<String>,
    progress: Option<&'p mut dyn FnMut(Progress)>,
    at: Progress,
}

impl<'p> Contents<'p> {
    /// Reads the manifest and compares its list with the zip.
    ///
    /// # Errors
    /// Fails with [`Unreadable`] if there is no manifest of a pack.
    pub fn open(mut directory: Directory, wrong: &mut Vec<String>) -> Result<(Claimed, Self), Unreadable> {
        let none = || Unreadable::NotAPack(format!("it has no {MANIFEST}"));
        let entry = directory.get(MANIFEST).ok_or_else(none)?;
        if entry.bytes > MOST_MANIFEST {
            return Err(Unreadable::NotAPack(format!("its {MANIFEST} is too large")));
        }
        let mut text = Vec::new();
        Content::new(directory.seek(&entry)?, entry).read_to_end(&mut text).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Unreadable::Malformed(format!("{MANIFEST} cannot be unpacked: {error}")),
            _ => Unreadable::Io(error),
        })?;
        let claimed = Claimed::parse(&text).map_err(Unreadable::NotAPack)?;
        let listed = claimed.files.clone();
        let mut unread = BTreeSet::new();
        for file in &listed {
            if !unread.insert(file.name.clone()) {
                wrong.push(format!("{MANIFEST} lists {} twice", file.name.escape_debug()));
            } else if file.name == MANIFEST || directory.get(&file.name).is_none() {
                wrong.push(format!("{} is missing: {MANIFEST} lists it", file.name.escape_debug()));
                unread.remove(&file.name);
            }
        }
        let is_listed = |name: &str| name == MANIFEST || listed.iter().any(|file| file.name == name);
        for name in directory.names().filter(|name| !is_listed(name)) {
            wrong.push(format!("{name} is in the zip, but not in {MANIFEST}"));
        }
        let of = listed.iter().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
        Ok((claimed, Self { directory, listed, unread, progress: None, at: Progress { bytes: 0, of } }))
    }

    /// Registers a function that is called from time to time.
    pub fn on_progress(&mut self, progress: &'p mut dyn FnMut(Progress)) {
        self.progress = Some(progress);
    }

    /// Returns whether the zip or the manifest has a file in `proof/`.
    pub fn has_proof(&self) -> bool {
        let mut names = self.listed.iter().map(|file| file.name.as_str()).chain(self.directory.names());
        names.any(|name| name.starts_with("proof/"))
    }

    /// Returns the maximum number of lines in the files with leaves.
    pub fn most_lines(&self) -> usize {
        let files = self.listed.iter().filter(|file| [EVENTS, STUBS, REMOVED].contains(&file.name.as_str()));
        let bytes = files.fold(0_u64, |sum, file| {
            // The zip limits it, too: deflate expands one byte to at most 1032 bytes.
            let packed = self.directory.get(&file.name).map_or(0, |entry| entry.packed);
            sum.saturating_add(file.bytes.min(packed.saturating_mul(1032)))
        });
        usize::try_from(bytes / LEAST_LINE).unwrap_or(usize::MAX)
    }

    /// Returns whether the manifest lists a file.
    pub fn lists(&self, name: &str) -> bool {
        self.listed.iter().any(|file| file.name == name)
    }

    /// Returns the whole content of a file.
    pub fn small(&mut self, name: &str, wrong: &mut Vec<String>) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        let read = self.read(name, MOST_SMALL, wrong, |reader| reader.read_to_end(&mut content).map(drop));
        read.then_some(content)
    }

    /// Calls `element` for each element of an array. They are counted from 1.
    pub fn lines(&mut self, name: &str, wrong: &mut Vec<String>, mut element: impl FnMut(u64, &[u8])) {
        let mut array = Array::new();
        let mut number = 0;
        let mut framing = Ok(());
        self.read(name, u64::MAX, wrong, |reader| {
            framing = each_line(reader, |line| {
                if let Some(line) = array.line(line)? {
                    number += 1;
                    element(number, line);
                }
                Ok(())
            })?;
            Ok(())
        });
        if let Err(error) = framing.and_then(|()| array.end()) {
            wrong.push(format!("{name}: {error}"));
        }
    }

    /// Hashes the files that have not been read.
    pub fn rest(&mut self, wrong: &mut Vec<String>) {
        while let Some(name) = self.unread.first().cloned() {
            self.read(&name, u64::MAX, wrong, |_| Ok(()));
        }
    }

    /// Finds the events of problems that only have a leaf. Errors are ignored, because the first reading of the files
    /// has reported them.
    pub fn name_events(&mut self, problems: &mut [Problem]) {
        if problems.iter().all(|problem| problem.event.is_some() || problem.leaf.is_none()) {
            return;
        }
        for name in [EVENTS, STUBS] {
            let mut array = Array::new();
            self.unread.insert(name.to_owned());
            self.read(name, u64::MAX, &mut Vec::new(), |reader| {
                let _: Result<(), NotAnArray> = each_line(reader, |line| {
                    let line = array.line(line)?.map(Line::parse);
                    if let Some(Ok(line)) = line {
                        for problem in
                            problems.iter_mut().filter(|problem| problem.leaf.is_some() && problem.leaf == line.leaf())
                        {
                            problem.event.get_or_insert(line.id());
                        }
                    }
                    Ok(())
                })?;
                Ok(())
            });
        }
    }

    /// Lets `use_content` read a file, and compares the whole file with the manifest. Returns whether they are equal.
    fn read(
        &mut self,
        name: &str,
        most: u64,
        wrong: &mut Vec<String>,
        use_content: impl FnOnce(&mut dyn BufRead) -> io::Result<()>,
    ) -> bool {
        let Some(listed) = self.listed.iter().find(|file| file.name == name) else {
            // Callers require this file, so the manifest must list it.
            wrong.push(format!("{name} is missing"));
            return false;
        };
        if !self.unread.remove(name) {
            return false;
        }
        if listed.bytes > most {
            wrong.push(format!("{name} is too large"));
            return false;
        }
        let Some(entry) = self.directory.get(name) else { return false };
        if entry.bytes != listed.bytes {
            wrong.push(format!("{name} does not have the size in {MANIFEST}, {} bytes", listed.bytes));
            return false;
        }
        let read = || -> io::Result<String> {
            let content = Counted {
                content: Content::new(self.directory.seek(&entry)?, entry),
                hash: Context::new(&SHA256),
                at: &mut self.at,
                progress: &mut self.progress,
            };
            let mut reader = BufReader::with_capacity(BLOCK, content);
            use_content(&mut reader)?;
            // Unread content is also part of the hash.
            while !reader.fill_buf()?.is_empty() {
                let length = reader.buffer().len();
                reader.consume(length);
            }
            Ok(hex(reader.into_inner().hash.finish().as_ref()))
        };
        match read() {
            Ok(sha256) if sha256 == listed.sha256 => true,
            Ok(_) => {
                wrong.push(format!("{name} has been changed: its SHA-256 is not the one in {MANIFEST}"));
                false
            }
            Err(error) => {
                wrong.push(format!("{name} cannot be unpacked: {error}"));
                false
            }
        }
    }
}

/// Calls `use_line` for each line, without its line feed, until it returns an error. Returns that error.
fn each_line<E>(
    reader: &mut dyn BufRead,
    mut use_line: impl FnMut(&[u8]) -> Result<(), E>,
) -> io::Result<Result<(), E>> {
    let mut line = Vec::new();
    while (&mut *reader).take(MOST_LINE).read_until(b'\n', &mut line)? > 0 {
        let Some(whole) = line.strip_suffix(b"\n") else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line does not end with a line feed"));
        };
        if let Err(error) = use_line(whole) {
            return Ok(Err(error));
        }
        line.clear();
    }
    Ok(Ok(()))
}

/// A reader that counts and hashes its content.
struct Counted<'a, 'p, R> {
    content: R,
    hash: Context,
    at: &'a mut Progress,
    progress: &'a mut Option<&'p mut dyn FnMut(Progress)>,
}

impl<R: Read> Read for Counted<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.content.read(buffer)?;
        self.hash.update(&buffer[..length]);
        self.at.bytes += length as u64;
        if let Some(progress) = self.progress {
            progress(*self.at);
        }
        Ok(length)
    }
}
