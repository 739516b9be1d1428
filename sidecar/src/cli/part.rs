//! A file that a command writes.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A file that gets its final name when it is complete. Otherwise it is removed.
pub(super) struct Part {
    path: PathBuf,
    under_way: PathBuf,
    file: File,
    kept: bool,
}

impl Part {
    /// Creates the file under another name.
    ///
    /// # Errors
    /// Fails if the file exists, or cannot be created.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            bail!("the file {} already exists. Move it, or choose another file with -o", path.display());
        }
        let mut under_way = path.as_os_str().to_owned();
        under_way.push(".part");
        let under_way = PathBuf::from(under_way);
        let file = OpenOptions::new().write(true).create_new(true).open(&under_way).with_context(|| {
            format!("cannot create {}. If it remains from a run that was killed, remove it", under_way.display())
        })?;
        Ok(Self { path: path.to_owned(), under_way, file, kept: false })
    }

    /// Returns a handle to write with.
    ///
    /// # Errors
    /// Fails if the system has no handle left.
    pub fn file(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }

    /// Gives the file its final name.
    ///
    /// # Errors
    /// Fails if the file cannot be written or renamed.
    pub fn keep(mut self) -> anyhow::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.under_way, &self.path)
            .with_context(|| format!("cannot rename {} to {}", self.under_way.display(), self.path.display()))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.under_way);
        }
    }
}
