//! The zip, written once from front to back.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ring::digest::{Context, SHA256};
use zip::write::StreamWriter;
use zip::{ZipArchive, ZipWriter};

use super::entry::{Entry, PackFile, options};
use super::spool::Spool;
use crate::text::hex;
use crate::time::Time;

/// A zip under way. Unless [`Archive::finish`] is reached, what was written has no directory: nothing can take it for a
/// complete one.
pub(super) struct Archive<W: Write> {
    // Fields are dropped in this order.
    shut: Shut,
    zip: ZipWriter<StreamWriter<Gate<W>>>,
    written: Arc<AtomicU64>,
    snapshot: Time,
    files: Vec<PackFile>,
}

/// What the content of an entry goes through.
pub(super) type ZipEntry<'a, W> = Entry<'a, ZipWriter<StreamWriter<Gate<W>>>>;

impl<W: Write> Archive<W> {
    /// An empty zip whose entries bear the time of the snapshot.
    pub fn new(out: W, snapshot: Time) -> Self {
        let shut = Shut::default();
        let written = Arc::new(AtomicU64::new(0));
        let gate = Gate { out, shut: Arc::clone(&shut.0), hash: Context::new(&SHA256), written: Arc::clone(&written) };
        Self { zip: ZipWriter::new_stream(gate), shut, written, snapshot, files: Vec::new() }
    }

    /// Adds an entry whose content `write` produces; it may exceed 4 GiB where `large` allows it.
    ///
    /// # Errors
    /// Those of `write` and of the output.
    pub fn add<E: From<io::Error>>(
        &mut self,
        name: &str,
        large: bool,
        write: impl FnOnce(&mut ZipEntry<'_, W>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.zip.start_file(name, options(self.snapshot, large)).map_err(io::Error::from)?;
        let mut entry = Entry::new(&mut self.zip);
        write(&mut entry)?;
        self.files.push(entry.into_file(name));
        Ok(())
    }

    /// Adds an entry that has been compressed elsewhere.
    ///
    /// # Errors
    /// Those of the output and of the temporary file.
    pub fn copy(&mut self, spool: Spool) -> io::Result<()> {
        let mut source = ZipArchive::new(spool.zip)?;
        self.zip.raw_copy_file(source.by_index_raw(0)?)?;
        self.files.push(spool.file);
        Ok(())
    }

    /// The files so far.
    pub fn files(&self) -> &[PackFile] {
        &self.files
    }

    /// How many bytes have been written, now and later.
    pub fn written(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.written)
    }

    /// Writes the directory; size and SHA-256 (in hexadecimal) of the whole zip.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(self) -> io::Result<(u64, String)> {
        let Self { zip, shut: _shut, written, .. } = self;
        let mut gate = zip.finish()?.into_inner();
        gate.out.flush()?;
        Ok((written.load(Ordering::Relaxed), hex(gate.hash.finish().as_ref())))
    }
}

/// The output, counted and hashed, until it is shut: from then on everything is discarded.
pub(super) struct Gate<W> {
    out: W,
    shut: Arc<AtomicBool>,
    hash: Context,
    written: Arc<AtomicU64>,
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.shut.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.shut.load(Ordering::Relaxed) { Ok(()) } else { self.out.flush() }
    }
}

/// Shuts the gate when it is dropped. Dropping a `ZipWriter` completes the archive, which would make a cut pack look
/// whole: so this must be dropped before it.
#[derive(Default)]
struct Shut(Arc<AtomicBool>);

impl Drop for Shut {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Mutex;

    use sha2::{Digest, Sha256};

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
        zip.add("a.txt", true, |entry| entry.write_all(b"content")).unwrap();
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
