//! The zip, written once from front to back. FORMAT.md of `audit_proof` describes its form.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest::{Context, SHA256};

mod record;

use self::record::{Header, end};
use super::entry::{Entry, PackFile};
use super::spool::Spool;
use crate::text::hex;
use crate::time::Time;

/// An incomplete zip. It has no directory before [`Archive::finish`], so it cannot be mistaken for a complete one.
pub(super) struct Archive<W> {
    out: Counted<W>,
    snapshot: Time,
    /// The central headers of the entries so far.
    directory: Vec<u8>,
    files: Vec<PackFile>,
}

/// The writer of an entry's content.
pub(super) type ZipEntry<'a, W> = Entry<&'a mut Counted<W>>;

impl<W: Write> Archive<W> {
    /// Creates an empty zip. Its entries have the time of the snapshot.
    pub fn new(out: W, snapshot: Time) -> Self {
        let out = Counted { out, hash: Context::new(&SHA256), written: Arc::new(AtomicU64::new(0)) };
        Self { out, snapshot, directory: Vec::new(), files: Vec::new() }
    }

    /// Adds an entry whose content `write` produces. Its sizes follow it in a data descriptor.
    ///
    /// # Errors
    /// Returns the errors of `write` and of the output.
    pub fn add<E: From<io::Error>>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut ZipEntry<'_, W>) -> Result<(), E>,
    ) -> Result<(), E> {
        let header = Header::streamed(name, self.snapshot, self.out.position());
        self.out.write_all(&header.local())?;
        let mut entry = Entry::new(&mut self.out);
        write(&mut entry)?;
        let (_, file, packed) = entry.finish(name)?;
        self.out.write_all(&packed.descriptor())?;
        self.directory.extend(header.central(&packed));
        self.files.push(file);
        Ok(())
    }

    /// Adds an entry that is already compressed.
    ///
    /// # Errors
    /// Returns the errors of the output and of the temporary file.
    pub fn copy(&mut self, mut spool: Spool) -> io::Result<()> {
        let header = Header::known(&spool.file.name, self.snapshot, self.out.position(), &spool.packed);
        self.out.write_all(&header.local())?;
        let copied = io::copy(&mut spool.content, &mut self.out)?;
        if copied != spool.packed.packed {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the temporary file has been changed"));
        }
        self.directory.extend(header.central(&spool.packed));
        self.files.push(spool.file);
        Ok(())
    }

    /// Returns the files so far.
    pub fn files(&self) -> &[PackFile] {
        &self.files
    }

    /// Returns the number of bytes that have been written. The value is updated as the zip grows.
    pub fn written(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.out.written)
    }

    /// Writes the directory. Returns size and SHA-256 (in hexadecimal) of the whole zip.
    ///
    /// # Errors
    /// Returns the errors of the output.
    pub fn finish(self) -> io::Result<(u64, String)> {
        let Self { mut out, directory, files, .. } = self;
        let start = out.position();
        out.write_all(&directory)?;
        out.write_all(&end(files.len(), start, directory.len()))?;
        out.flush()?;
        Ok((out.position(), hex(out.hash.finish().as_ref())))
    }
}

/// The output, which is counted and hashed.
pub(super) struct Counted<W> {
    out: W,
    hash: Context,
    written: Arc<AtomicU64>,
}

impl<W> Counted<W> {
    fn position(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Mutex;

    use sha2::{Digest, Sha256};
    use zip::ZipArchive;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn begun(out: Shared) -> Archive<Shared> {
        let mut zip = Archive::new(out, Time::parse("2026-03-01T08:30:10Z").unwrap());
        zip.add("a.txt", |entry| entry.write_all(b"content")).unwrap();
        zip
    }

    #[test]
    fn what_is_not_finished_is_no_zip() {
        let out = Shared::default();
        drop(begun(out.clone()));
        let bytes = out.0.lock().unwrap().clone();
        assert!(!bytes.is_empty());
        assert!(ZipArchive::new(Cursor::new(bytes)).is_err());
    }

    #[test]
    fn what_is_finished_is_one_with_its_hashes() {
        let out = Shared::default();
        let zip = begun(out.clone());
        let files = zip.files().to_vec();
        let (length, sha256) = zip.finish().unwrap();
        let bytes = out.0.lock().unwrap().clone();
        assert_eq!(length, bytes.len() as u64);
        assert_eq!(sha256, hex(&Sha256::digest(&bytes)));
        assert_eq!(files[0].sha256, hex(&Sha256::digest(b"content")));
        let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
        let time = zip.by_name("a.txt").unwrap().last_modified().unwrap();
        assert_eq!((time.year(), time.hour(), time.minute(), time.second()), (2026, 8, 30, 10));
    }
}
