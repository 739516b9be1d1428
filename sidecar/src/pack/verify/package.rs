//! The files of a pack: the entries of a zip, or the files of a folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::inflate::Content;
use super::unreadable::Unreadable;

/// A zip, or a folder with an unpacked pack.
pub(super) enum Package {
    /// A zip.
    Zip(Directory),
    /// A folder, and the size of each file in it.
    Folder(PathBuf, BTreeMap<String, u64>),
}

/// The only folder in a pack.
const PROOF: &str = "proof";

/// Maximum number of files that are looked at in a folder. A pack has far fewer.
const MOST_FILES: usize = 1000;

impl Package {
    /// Opens the file or folder.
    ///
    /// # Errors
    /// Fails with [`Unreadable`].
    pub fn open(path: &Path) -> Result<Self, Unreadable> {
        let kind = std::fs::metadata(path)?;
        if kind.is_file() {
            return Ok(Self::Zip(Directory::read(File::open(path)?)?));
        }
        if !kind.is_dir() {
            return Err(Unreadable::NotAPack("it is neither a file nor a folder".to_owned()));
        }
        let mut files = BTreeMap::new();
        list(path, "", &mut files)?;
        Ok(Self::Folder(path.to_owned(), files))
    }

    /// Returns all names.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Zip(directory) => directory.names().map(str::to_owned).collect(),
            Self::Folder(_, files) => files.keys().cloned().collect(),
        }
    }

    /// Returns the size of a file, in bytes.
    pub fn size(&self, name: &str) -> Option<u64> {
        match self {
            Self::Zip(directory) => directory.get(name).map(|entry| entry.bytes),
            Self::Folder(_, files) => files.get(name).copied(),
        }
    }

    /// Returns the size that a file can have when it is unpacked, in bytes. A zip can promise more than it holds: deflate
    /// expands one byte to at most 1032 bytes.
    pub fn possible_size(&self, name: &str) -> u64 {
        match self {
            Self::Zip(directory) => {
                directory.get(name).map_or(0, |entry| entry.bytes.min(entry.packed.saturating_mul(1032)))
            }
            Self::Folder(_, files) => files.get(name).copied().unwrap_or(0),
        }
    }

    /// Opens a file. Reading fails with `InvalidData` if the content does not match the zip.
    ///
    /// # Errors
    /// Returns the errors of the file, and `NotFound` for an unknown name.
    pub fn read(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Zip(directory) => {
                let entry = directory.get(name).ok_or(io::ErrorKind::NotFound)?;
                Ok(Box::new(Content::new(directory.seek(&entry)?, entry)))
            }
            Self::Folder(folder, files) if files.contains_key(name) => {
                Ok(Box::new(BufReader::new(File::open(folder.join(name))?)))
            }
            Self::Folder(..) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Lists the files of a folder. Links, devices and folders of other names count as files of size 0.
fn list(folder: &Path, prefix: &str, files: &mut BTreeMap<String, u64>) -> Result<(), Unreadable> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() && name == PROOF {
            list(&entry.path(), "proof/", files)?;
        } else {
            files.insert(name, if kind.is_file() { entry.metadata()?.len() } else { 0 });
        }
        if files.len() > MOST_FILES {
            return Err(Unreadable::NotAPack("the folder has far more files than a pack".to_owned()));
        }
    }
    Ok(())
}
