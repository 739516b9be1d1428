//! What the signer remembers, in a folder of this machine: the last checkpoint that it signed, and the last head of each
//! log that it has seen. What the database says is held against this, so it must not be on the database's disk.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_proof::tree::Hash;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::file;
use super::refusal::Refusal;

/// What is remembered between two rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of the form.
    pub(super) v: Version,
    /// Origin of the checkpoints; empty before the first round.
    pub origin: String,
    /// Public keys of the last round.
    pub keys: Vec<String>,
    /// The last checkpoint that was signed, as a signed note.
    pub checkpoint: Option<String>,
    /// The heads of the workspaces' logs; none before the first round.
    pub heads: Option<Heads>,
    /// Why nothing is signed any more.
    pub refusals: Vec<Refusal>,
    /// How often an operator has made it begin anew.
    pub resets: u64,
}

/// The heads that have been seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// Id of the last event `heads_recorded` that was looked at.
    pub event_id: i64,
    /// Id of one that had no leaf yet in the last round.
    pub without_leaf: Option<i64>,
    /// By workspace.
    pub logs: BTreeMap<String, LogHead>,
}

/// The last head of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHead {
    /// Id of the log.
    #[serde(with = "base64_bytes")]
    pub log_id: [u8; 16],
    /// Number of leaves.
    pub size: u64,
    /// Root.
    #[serde(with = "base64_bytes")]
    pub root: Hash,
}

/// The state while no other process may change it.
#[derive(Debug)]
pub struct Held {
    /// What is remembered.
    pub state: State,
    path: PathBuf,
    // Released when it is closed.
    _lock: File,
}

/// A state that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be read or written.
    #[error("the signing state {path} cannot be {attempt}")]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What was attempted: `read`, `written`, `locked`.
        attempt: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Another process has it for longer than a round takes.
    #[error("another process has been using the signing state {0} for a minute; two sidecars need a folder each")]
    Busy(PathBuf),
    /// The file is not what was written.
    #[error(
        "the signing state {path} is damaged ({source}): restore it from a copy, or begin anew with audit-sidecar checkpoint reset"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl Held {
    /// Takes the state in that folder, which is made where it is missing. Waits a minute for another process.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let (path, lock) = take(folder)?;
        let text = file::read(&path).map_err(|source| Error::File { path: path.clone(), attempt: "read", source })?;
        let state = text.map_or(Ok(State::default()), |text| serde_json::from_str(&text));
        let state = state.map_err(|source| Error::Damaged { path: path.clone(), source })?;
        Ok(Self { state, path, _lock: lock })
    }

    /// The same without what is remembered, which may be damaged.
    ///
    /// # Errors
    /// As [`Held::open`], but for [`Error::Damaged`].
    pub fn open_anew(folder: &Path) -> Result<Self, Error> {
        let (path, lock) = take(folder)?;
        Ok(Self { state: State::default(), path, _lock: lock })
    }

    /// Writes what is remembered. When this returns, a crash does not lose it.
    ///
    /// # Errors
    /// [`Error::File`]; the earlier state is then still there.
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
            other => Err(serde::de::Error::custom(format_args!("version {other} is not known"))),
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
        bytes.try_into().map_err(|_| serde::de::Error::custom(format_args!("not {N} bytes")))
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
        // What a crash leaves: a part of the next state under another name, and the lock of a process that is gone.
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
    fn a_damaged_state_is_told_and_never_taken_for_none() {
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
