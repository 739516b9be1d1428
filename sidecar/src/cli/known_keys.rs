//! The file of known keys: `$XDG_CONFIG_HOME/audit-sidecar/keys`, by default in `~/.config`. Each line holds a name and a
//! key, separated by a space. Lines that begin with `#` are comments.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use audit_proof::checkpoint::{Key, Kind};

/// Reads the file. Returns no keys if there is none.
///
/// # Errors
/// Fails if the file cannot be read, or if a line is malformed.
pub fn read() -> anyhow::Result<Vec<(String, Key)>> {
    let Some(path) = path() else { return Ok(Vec::new()) };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut keys = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let about = || format!("line {number} of {} is not a name and a key", path.display());
        let (name, key) = line.split_once(' ').with_context(about)?;
        keys.push((name.to_owned(), Key::parse(key.trim()).with_context(about)?));
    }
    Ok(keys)
}

/// Adds a key. Returns the file, and the number of other keys of this name.
///
/// # Errors
/// Fails if the name or the key cannot be stored.
pub fn add(name: &str, key: &Key) -> anyhow::Result<(PathBuf, usize)> {
    if name.is_empty() || name.starts_with('#') || !name.chars().all(|c| c.is_ascii_graphic()) {
        bail!("\"{name}\" is not a name. Use visible ASCII characters, and do not begin with #");
    }
    if key.kind() != Kind::Log {
        bail!("the key belongs to a witness. Give it to verify with --witness");
    }
    let path = path().context("neither HOME nor XDG_CONFIG_HOME is set, so there is no file of known keys")?;
    let others: Vec<_> = read()?.into_iter().filter(|(other, _)| other == name).collect();
    if !others.iter().any(|(_, other)| other.encoded() == key.encoded()) {
        let about = || format!("cannot write {}", path.display());
        path.parent().map_or(Ok(()), fs::create_dir_all).with_context(about)?;
        let mut file = OpenOptions::new().create(true).append(true).open(&path).with_context(about)?;
        let text = fs::read_to_string(&path).with_context(about)?;
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        writeln!(file, "{end}{name} {}", key.encoded()).with_context(about)?;
    }
    Ok((path, others.len()))
}

fn path() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(config.join("audit-sidecar").join("keys"))
}
