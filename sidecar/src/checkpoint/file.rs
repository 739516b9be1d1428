//! Files that survive a power failure, and folders that one process uses at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Replaces a file atomically: a reader sees either the old or the new file. The new file is on disk when this returns.
/// Only its owner can read it.
///
/// # Errors
/// Fails if the file cannot be written. The old file then remains. If only the last step failed, either file may remain
/// after a crash.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder_of(path))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder_of(path)
}

/// Returns the content of a file, or none if the file does not exist.
///
/// # Errors
/// Fails if the file cannot be read or is not UTF-8.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the names in the folder of this file survive a power failure.
///
/// # Errors
/// Fails if the folder cannot be opened or written.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Locks a folder for this process until the returned file is closed. Creates the folder if it is missing.
///
/// # Errors
/// Fails with `WouldBlock` if another process locks the folder for longer than `patience`, or with an error of the file
/// system.
pub fn lock_folder(folder: &Path, patience: Duration) -> Result<File, TryLockError> {
    lock(folder, "lock", patience)
}

/// Locks a file of this name in a folder, until the returned file is closed. Creates both if they are missing.
///
/// # Errors
/// Returns the same errors as [`lock_folder`].
pub fn lock(folder: &Path, name: &str, patience: Duration) -> Result<File, TryLockError> {
    fs::create_dir_all(folder).map_err(TryLockError::Error)?;
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(name));
    let lock = lock.map_err(TryLockError::Error)?;
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => thread::sleep(Duration::from_millis(50)),
            Err(error) => return Err(error),
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Prefix of the names of incomplete files.
pub const TEMPORARY: &str = ".incomplete-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert_eq!(read(&path).unwrap(), None);
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_crash_has_left_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        replace(&path, b"one").unwrap();
        // This file was written but never renamed.
        fs::write(folder.path().join(format!("{TEMPORARY}x")), "tw").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("one"));
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
    }

    #[test]
    fn where_nothing_can_be_written_the_earlier_file_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        replace(&path, b"one").unwrap();
        assert!(replace(&folder.path().join("missing/state"), b"two").is_err());
        // A folder makes the rename fail after everything has been written.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("x"), "").unwrap();
        assert!(replace(&taken, b"two").is_err());
        assert_eq!(read(&path).unwrap().as_deref(), Some("one"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "what failed is cleared away");
    }
}
