//! The content of the files. Each file is read once and hashed while it is read, up to the size in the manifest.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use audit_proof::Line;
use audit_proof::pack::{Array, Fault, NotAnArray, Problem, Problems, Why};
use ring::digest::{Context, SHA256};

use super::package::Package;
use super::unreadable::Unreadable;
use crate::pack::entry::PackFile;
use crate::pack::file_name::{EVENTS, MANIFEST, REMOVALS, REMOVED, STUBS, files_of};
use crate::pack::manifest::{Manifest, NotAManifest};
use crate::text::{hex, quoted_start};

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
    package: Package,
    listed: Vec<PackFile>,
    unread: BTreeSet<String>,
    progress: &'p mut dyn FnMut(Progress),
    at: Progress,
}

/// Reads the manifest. Returns none if it has a defect.
///
/// # Errors
/// Fails with [`Unreadable`] if there is no manifest of a pack.
pub(super) fn read_manifest(package: &mut Package, problems: &mut Problems) -> Result<Option<Manifest>, Unreadable> {
    let mut wrong = |fault, text: String| problems.push(Problem::of_pack(Why::Other(fault, text)));
    let none = || Unreadable::NotAPack(format!("it has no {MANIFEST}"));
    if package.size(MANIFEST).ok_or_else(none)? > MOST_MANIFEST {
        wrong(Fault::Manifest, "it is too large".to_owned());
        return Ok(None);
    }
    let mut text = Vec::new();
    match package.read(MANIFEST)?.read_to_end(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            wrong(Fault::Zip, format!("{MANIFEST} cannot be unpacked: {error}"));
            return Ok(None);
        }
        read => read?,
    };
    match Manifest::parse(&text) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(NotAManifest::Version(version)) => {
            Err(Unreadable::NotAPack(format!("its version is {version}, which this program does not know")))
        }
        Err(NotAManifest::Malformed(reason)) => {
            wrong(Fault::Manifest, reason);
            Ok(None)
        }
    }
}

/// Calls `use_line` for each line of events.json. Neither the lines nor anything else in the pack is verified.
///
/// # Errors
/// Fails with [`Unreadable`].
pub fn each_event(path: &Path, mut use_line: impl FnMut(&[u8])) -> Result<(), Unreadable> {
    let mut package = Package::open(path)?;
    package.size(EVENTS).ok_or_else(|| Unreadable::NotAPack(format!("it has no {EVENTS}")))?;
    let mut array = Array::new();
    let mut reader = BufReader::with_capacity(BLOCK, package.read(EVENTS)?);
    let framing = each_line(&mut reader, |line| {
        array.line(line)?.into_iter().for_each(&mut use_line);
        Ok(())
    })?;
    framing.and_then(|()| array.end()).map_err(|error| Unreadable::NotAPack(format!("{EVENTS}: {error}")))
}

impl<'p> Contents<'p> {
    /// Compares the list of the manifest with the files that the pack has and must have.
    pub fn new(
        package: Package,
        manifest: &Manifest,
        problems: &mut Problems,
        progress: &'p mut dyn FnMut(Progress),
    ) -> Self {
        let mut wrong = |text: String| problems.push(Problem::of_pack(Why::Other(Fault::Files, text)));
        let required = files_of(manifest.proof);
        let names = package.names();
        for name in names.iter().filter(|name| !required.contains(&name.as_str())) {
            wrong(format!("a pack of this kind does not have the file {}", quoted_start(name)));
        }
        let mut unread = BTreeSet::new();
        for name in required.iter().filter(|name| **name != MANIFEST) {
            match manifest.files.iter().filter(|file| file.name == *name).count() {
                0 => wrong(format!("{MANIFEST} does not list {name}")),
                1 if names.iter().any(|other| other == name) => {
                    unread.insert((*name).to_owned());
                }
                1 => wrong(format!("{name} is missing")),
                _ => wrong(format!("{MANIFEST} lists {name} more than once")),
            }
        }
        let is_other = |file: &&PackFile| file.name == MANIFEST || !required.contains(&file.name.as_str());
        for file in manifest.files.iter().filter(is_other) {
            wrong(format!("{MANIFEST} lists {}, which it must not", quoted_start(&file.name)));
        }
        let of = manifest.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
        Self { package, listed: manifest.files.clone(), unread, progress, at: Progress { bytes: 0, of } }
    }

    /// Returns the maximum number of lines in the files with leaves.
    pub fn most_lines(&self) -> usize {
        let bytes = [EVENTS, STUBS, REMOVED, REMOVALS].map(|name| {
            let listed = self.listed(name).map_or(0, |file| file.bytes);
            listed.min(self.package.possible_size(name))
        });
        let bytes = bytes.into_iter().fold(0_u64, u64::saturating_add);
        usize::try_from(bytes / LEAST_LINE).unwrap_or(usize::MAX)
    }

    /// Returns what the manifest lists about a file.
    pub fn listed(&self, name: &str) -> Option<&PackFile> {
        self.listed.iter().find(|file| file.name == name)
    }

    /// Returns the whole content of a file.
    pub fn small(&mut self, name: &str, problems: &mut Problems) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        let read = self.read(name, MOST_SMALL, problems, |reader| reader.read_to_end(&mut content).map(drop));
        read.then_some(content)
    }

    /// Calls `element` for each element of an array. They are counted from 1. Returns whether all of them could be read,
    /// even if the file is not the one that the manifest lists.
    pub fn lines(&mut self, name: &str, problems: &mut Problems, mut element: impl FnMut(u64, &[u8])) -> bool {
        let mut array = Array::new();
        let mut number = 0;
        let mut framing = Ok(());
        let mut is_read = false;
        self.read(name, u64::MAX, problems, |reader| {
            framing = each_line(reader, |line| {
                if let Some(line) = array.line(line)? {
                    number += 1;
                    element(number, line);
                }
                Ok(())
            })?;
            is_read = true;
            Ok(())
        });
        let is_array = framing.and_then(|()| array.end());
        if let (true, Err(error)) = (is_read, &is_array) {
            problems.push(Problem::of_pack(Why::Other(Fault::Line, format!("{name}: {error}"))));
        }
        is_read && is_array.is_ok()
    }

    /// Hashes the files that have not been read.
    pub fn rest(&mut self, problems: &mut Problems) {
        while let Some(name) = self.unread.first().cloned() {
            self.read(&name, u64::MAX, problems, |_| Ok(()));
        }
    }

    /// Finds the events of problems that only have a leaf. Errors are ignored, because the first reading of the files
    /// has reported them.
    pub fn name_events(&mut self, problems: &mut Problems) {
        if problems.kept_mut().all(|problem| problem.event.is_some() || problem.leaf.is_none()) {
            return;
        }
        for name in [EVENTS, STUBS, REMOVALS] {
            let mut array = Array::new();
            self.unread.insert(name.to_owned());
            self.read(name, u64::MAX, &mut Problems::default(), |reader| {
                let _: Result<(), NotAnArray> = each_line(reader, |line| {
                    let line = array.line(line)?.map(Line::parse);
                    if let Some(Ok(line)) = line {
                        let of_line = |problem: &&mut Problem| problem.leaf.is_some() && problem.leaf == line.leaf();
                        for problem in problems.kept_mut().filter(of_line) {
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
        problems: &mut Problems,
        use_content: impl FnOnce(&mut dyn BufRead) -> io::Result<()>,
    ) -> bool {
        let mut wrong = |fault, text: String| {
            problems.push(Problem::of_pack(Why::Other(fault, text)));
            false
        };
        if !self.unread.remove(name) {
            return false;
        }
        let Some(listed) = self.listed.iter().find(|file| file.name == name) else { return false };
        if listed.bytes > most {
            return wrong(Fault::Files, format!("{name} is too large"));
        }
        if self.package.size(name) != Some(listed.bytes) {
            return wrong(Fault::Files, format!("{name} does not have the size that {MANIFEST} lists"));
        }
        let read = || -> io::Result<String> {
            let content = Counted {
                content: self.package.read(name)?.take(listed.bytes),
                hash: Context::new(&SHA256),
                at: &mut self.at,
                progress: &mut *self.progress,
            };
            let mut reader = BufReader::with_capacity(BLOCK, content);
            use_content(&mut reader)?;
            // Unread content is also part of the hash.
            while !reader.fill_buf()?.is_empty() {
                let length = reader.buffer().len();
                reader.consume(length);
            }
            let mut counted = reader.into_inner();
            // The end of the content is where the zip's size and CRC are compared.
            if counted.content.get_mut().read(&mut [0])? > 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its size is not the one in the zip"));
            }
            Ok(hex(counted.hash.finish().as_ref()))
        };
        match read() {
            Ok(sha256) if sha256 == listed.sha256 => true,
            Ok(_) => wrong(Fault::Files, format!("{name} was changed: its SHA-256 is not the one in {MANIFEST}")),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                wrong(Fault::Zip, format!("{name} cannot be unpacked: {error}"))
            }
            Err(error) => wrong(Fault::Files, format!("{name} cannot be read: {error}")),
        }
    }
}

/// Calls `use_line` for each line, without its line feed, until it returns an error. Returns that error.
fn each_line(
    reader: &mut dyn BufRead,
    mut use_line: impl FnMut(&[u8]) -> Result<(), NotAnArray>,
) -> io::Result<Result<(), NotAnArray>> {
    let mut line = Vec::new();
    while (&mut *reader).take(MOST_LINE).read_until(b'\n', &mut line)? > 0 {
        let Some(whole) = line.strip_suffix(b"\n") else { return Ok(Err(NotAnArray)) };
        if let Err(error) = use_line(whole) {
            return Ok(Err(error));
        }
        line.clear();
    }
    Ok(Ok(()))
}

/// A reader that counts and hashes its content.
struct Counted<'a, R> {
    content: R,
    hash: Context,
    at: &'a mut Progress,
    progress: &'a mut dyn FnMut(Progress),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.content.read(buffer)?;
        self.hash.update(&buffer[..length]);
        self.at.bytes += length as u64;
        (self.progress)(*self.at);
        Ok(length)
    }
}
