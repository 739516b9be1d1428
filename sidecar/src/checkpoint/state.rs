//! The state of the signer, in a folder of this machine: the last signed checkpoint and the last known head of each
//! workspace log. Each round compares the database with this state, so the folder must not be on the database's disk.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_proof::tree::Hash;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::file;
use super::refusal::Refusal;

/// The state between two rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of the format.
    pub(super) v: Version,
    /// Origin of the checkpoints. It is empty before the first round.
    pub origin: String,
    /// Public keys of the last round.
    pub keys: Vec<String>,
    /// The last signed checkpoint, as a signed note.
    pub checkpoint: Option<String>,
    /// Heads of the workspace logs. They are none before the first round.
    pub heads: Option<Heads>,
    /// Reasons for which nothing is signed.
    pub refusals: Vec<Refusal>,
    /// Number of resets by an operator.
    pub resets: u64,
}

/// The last known heads of the workspace logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// Id of the last event `heads_recorded` that was checked.
    pub event_id: i64,
    /// Id of an event that had no leaf yet in the last round.
    pub without_leaf: Option<i64>,
    /// Heads by workspace.
    pub logs: BTreeMap<String, LogHead>,
}

/// The last known head of a workspace log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHead {
    /// Id of the workspace log.
    #[serde(with = "base64_bytes")]
    pub log_id: [u8; 16],
    /// Number of leaves.
    pub size: u64,
    /// Root.
    #[serde(with = "base64_bytes")]
    pub root: Hash,
}

/// The state while this process holds its lock.
#[derive(Debug)]
pub struct Held {
    /// The state.
    pub state: State,
    path: PathBuf,
    // The lock is released when the file is closed.
    _lock: File,
}

/// Errors of the state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be read or written.
    #[error("the signing state {path} cannot be {attempt}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Operation that failed: `read`, `written` or `locked`.
        attempt: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// Another process has held the lock for longer than a round takes.
    #[error("another process has locked the signing state {0} for a minute. Give each sidecar its own folder")]
    Busy(PathBuf),
    /// The file is damaged.
    #[error(
        "the signing state {path} is damaged ({source}). Restore it from a copy, or run audit-sidecar checkpoint reset"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Defect of the file.
        source: serde_json::Error,
    },
}

impl Held {
    /// Locks and reads the state in this folder, which is created if it is missing. Waits up to a minute for another
    /// process.
    ///
    /// # Errors
    /// Fails with [`Error`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let (path, lock) = take(folder)?;
        let text = file::read(&path).map_err(|source| Error::File { path: path.clone(), attempt: "read", source })?;
        let state = text.map_or(Ok(State::default()), |text| serde_json::from_str(&text));
        let state = state.map_err(|source| Error::Damaged { path: path.clone(), source })?;
        Ok(Self { state, path, _lock: lock })
    }

    /// Locks the folder without reading the state, which may be damaged.
    ///
    /// # Errors
    /// Returns the same errors as [`Held::open`], except [`Error::Damaged`].
    pub fn open_anew(folder: &Path) -> Result<Self, Error> {
        let (path, lock) = take(folder)?;
        Ok(Self { state: State::default(), path, _lock: lock })
    }

    /// Writes the state. It survives a crash once this returns.
    ///
    /// # Errors
    /// Fails with [`Error::File`]. The old state then remains.
    pub fn save(&self) -> Result<(), Error> {
        let failed = |source| Error::File { path: self.path.clone(), attempt: "written", source };
        let text = serde_json::to_vec(&self.state).map_err(|error| failed(error.into()))?;
        file::replace(&self.path, &text).map_err(failed)
    }
}

fn take(folder: &Path) -> Result<(PathBuf, File), Error> {
    match file::lock_folder(folder, PATIENCE) {
        Ok(lock) => Ok((folder.join("state.json"), lock)),
        Err(TryLockError::WouldBlock) => Err(Error::Busy(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(Error::File { path: folder.to_owned(), attempt: "locked", source }),
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Version 1, the only one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(serde::de::Error::custom(format_args!("version {other} is unknown"))),
        }
    }
}

mod base64_bytes {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        bytes.try_into().map_err(|_| serde::de::Error::custom(format_args!("the value does not have {N} bytes")))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    fn state() -> State {
        let head = LogHead { log_id: [1; 16], size: 7, root: [2; 32] };
        State {
            origin: "a/b".into(),
            keys: vec!["k".into()],
            checkpoint: Some("a/b\n1\n".into()),
            heads: Some(Heads { event_id: 9, without_leaf: Some(10), logs: [("acme \"1\"\n".into(), head)].into() }),
            ..State::default()
        }
    }

    #[test]
    fn what_was_saved_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let mut held = Held::open(&folder.path().join("new/one")).unwrap();
        assert_eq!(held.state, State::default());
        held.state = state();
        held.save().unwrap();
        drop(held);
        let held = Held::open(&folder.path().join("new/one")).unwrap();
        assert_eq!(held.state, state());
    }

    #[test]
    fn a_crash_before_the_rename_leaves_the_earlier_state() {
        let folder = tempfile::tempdir().unwrap();
        let mut held = Held::open(folder.path()).unwrap();
        held.state = state();
        held.save().unwrap();
        drop(held);
        // A crash leaves a part of the next state under another name, and the lock file of a dead process.
        let whole = fs::read(folder.path().join("state.json")).unwrap();
        fs::write(folder.path().join(".incomplete-1"), &whole[..whole.len() / 2]).unwrap();
        let mut held = Held::open(folder.path()).unwrap();
        assert_eq!(held.state, state());
        held.state.resets = 1;
        held.save().unwrap();
        drop(held);
        assert_eq!(Held::open(folder.path()).unwrap().state, State { resets: 1, ..state() });
    }

    #[test]
    fn a_damaged_state_is_reported_and_never_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut held = Held::open(folder.path()).unwrap();
        held.state = state();
        held.save().unwrap();
        drop(held);
        let path = folder.path().join("state.json");
        let whole = fs::read_to_string(&path).unwrap();
        for damaged in [
            "",
            "null",
            &whole[..whole.len() - 1],
            &whole.replace("\"v\":1", "\"v\":2"),
            &whole.replace("AQEB", "AQE"),
            &whole.replace("\"size\":7", "\"size\":-7"),
            &whole.replace("\"resets\"", "\"other\""),
        ] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(Held::open(folder.path()), Err(Error::Damaged { .. })), "{damaged}");
        }
        assert_eq!(Held::open_anew(folder.path()).unwrap().state, State::default());
    }

    #[test]
    fn one_process_has_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = Held::open(folder.path()).unwrap();
        let path = folder.path().to_owned();
        let other = thread::spawn(move || {
            let mut held = Held::open(&path).unwrap();
            held.state.resets += 1;
            held.state.resets
        });
        let mut held = held;
        thread::sleep(Duration::from_millis(120));
        held.state.resets = 5;
        held.save().unwrap();
        drop(held);
        assert_eq!(other.join().unwrap(), 6, "it waited, and read what the first had saved");
    }
}
