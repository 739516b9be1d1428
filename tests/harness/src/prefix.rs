//! The private PostgreSQL that the Makefile creates.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A PostgreSQL installation that holds the extension.
#[derive(Clone, Debug)]
pub struct Prefix {
    root: PathBuf,
    bin: PathBuf,
}

impl Prefix {
    /// Returns the prefix that the environment names.
    pub fn from_env() -> Result<Self> {
        let Some(root) = env::var_os("AUDIT_TEST_PREFIX") else {
            bail!(
                "AUDIT_TEST_PREFIX is not set: these tests need a private PostgreSQL with the extension. \
                 `make test` builds one and runs them; T=name chooses tests"
            );
        };
        Self::at(Path::new(&root))
    }

    /// Returns the prefix in the directory `root`.
    pub fn at(root: &Path) -> Result<Self> {
        Ok(Self { root: root.to_owned(), bin: directory(root, "--bindir")? })
    }

    /// Returns the directory that holds the whole installation.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory with the control files and SQL scripts of extensions.
    ///
    /// # Errors
    /// Fails if pg_config of the prefix does not run.
    pub fn extensions(&self) -> Result<PathBuf> {
        Ok(directory(&self.root, "--sharedir")?.join("extension"))
    }

    /// Returns the directory with the libraries of extensions.
    ///
    /// # Errors
    /// Fails if pg_config of the prefix does not run.
    pub fn libraries(&self) -> Result<PathBuf> {
        directory(&self.root, "--pkglibdir")
    }

    /// Returns the path of a program of this PostgreSQL.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// Returns the directory that pg_config of the prefix prints for this option.
fn directory(root: &Path, option: &str) -> Result<PathBuf> {
    let pg_config = root.join("pg_config");
    let output = Command::new(&pg_config)
        .arg(option)
        .output()
        .with_context(|| format!("{} does not run; `make test` creates it", pg_config.display()))?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
