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
        let pg_config = root.join("pg_config");
        let output = Command::new(&pg_config)
            .arg("--bindir")
            .output()
            .with_context(|| format!("{} does not run; `make test` creates it", pg_config.display()))?;
        let bin = PathBuf::from(String::from_utf8(output.stdout)?.trim());
        Ok(Self { root: root.to_owned(), bin })
    }

    /// Returns the directory that holds the whole installation.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of a program of this PostgreSQL.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}
