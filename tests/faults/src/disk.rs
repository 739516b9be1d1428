//! A small disk of its own, which can be filled.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// A file system in memory. When it is dropped, it is unmounted as soon as no process uses it any more.
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Returns why this process cannot mount a file system, if so.
    pub fn is_possible() -> Result<(), String> {
        Self::mount("1m").map(drop).map_err(|error| format!("{error:#}"))
    }

    /// Mounts an empty file system of this size.
    pub fn mount(size: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("audit-disk-").tempdir()?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=1777"), "audit-faults"])
            .arg(folder.path())
            .output()
            .context("mount cannot be run")?;
        if !output.status.success() {
            bail!("a file system cannot be mounted: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Self { folder })
    }

    /// Returns the folder of the file system.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills the file system.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.filler())?;
        let zeros = vec![0; 1 << 16];
        while file.write_all(&zeros).is_ok() {}
        Ok(())
    }

    /// Makes room again.
    pub fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}
