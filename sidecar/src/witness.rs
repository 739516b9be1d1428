//! A witness for the logs of other deployments: the server side of <https://c2sp.org/tlog-witness>. It cosigns a
//! checkpoint if a proof shows that the log extends the checkpoint that it cosigned last. It stores the checkpoint
//! before it sends the cosignature. It needs no database.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use audit_proof::checkpoint::{Checkpoint, Key, Kind};
use audit_proof::tree::{self, Hash};
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::checkpoint::file;
use crate::checkpoint::key::PrivateKey;
use crate::text::hex;

/// A witness and its state.
#[derive(Debug)]
pub struct Witness {
    key: PrivateKey,
    /// The keys of each log, by the log's origin.
    logs: BTreeMap<String, Vec<Key>>,
    folder: PathBuf,
    /// Lock that makes comparing and storing one step.
    turn: Mutex<()>,
    // The lock is released when the file is closed.
    _lock: File,
}

/// Errors of setting up a witness.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is that of a log.
    #[error("the key {0} belongs to a log, not to a witness. Create a key with audit-sidecar key create --witness")]
    NoWitnessKey(String),
    /// The key of a log is that of a witness.
    #[error("the key {0} belongs to a witness, not to a log")]
    NoLogKey(String),
    /// The folder cannot be used.
    #[error("the state folder {path} of the witness cannot be used")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("another witness uses the state folder {0}. Give each witness its own folder and its own key")]
    Busy(PathBuf),
}

/// An answer of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Signature lines, the size of the last cosigned checkpoint, or an error message.
    pub body: String,
}

impl Witness {
    /// Creates a witness with this key for these logs. It stores its state in `folder`, which is created if it is
    /// missing.
    ///
    /// # Errors
    /// Fails with [`Error`].
    pub fn new(key: PrivateKey, logs: &[Key], folder: &Path) -> Result<Self, Error> {
        if key.kind() != Kind::Witness {
            return Err(Error::NoWitnessKey(key.label()));
        }
        let mut known: BTreeMap<String, Vec<Key>> = BTreeMap::new();
        for log in logs {
            if log.kind() != Kind::Log {
                return Err(Error::NoLogKey(log.to_string()));
            }
            known.entry(log.name().to_owned()).or_default().push(log.clone());
        }
        let lock = file::lock_folder(folder, Duration::ZERO).map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy(folder.to_owned()),
            TryLockError::Error(source) => Error::Folder { path: folder.to_owned(), source },
        })?;
        Ok(Self { key, logs: known, folder: folder.to_owned(), turn: Mutex::default(), _lock: lock })
    }

    /// Answers a request `add-checkpoint` with this body.
    pub fn add_checkpoint(&self, body: &[u8]) -> Answer {
        let Some((old, proof, note)) = read(body) else {
            return Answer::wrong(
                StatusCode::BAD_REQUEST,
                "the body does not consist of an old size, a proof and a checkpoint",
            );
        };
        let Ok(new) = Checkpoint::parse(note) else {
            return Answer::wrong(
                StatusCode::BAD_REQUEST,
                "the body does not end with a checkpoint in the form of a signed note",
            );
        };
        let Some(keys) = self.logs.get(new.origin()) else {
            return Answer::wrong(StatusCode::NOT_FOUND, "this witness does not know the origin of the checkpoint");
        };
        if !keys.iter().any(|key| new.verify(key).is_ok()) {
            return Answer::wrong(
                StatusCode::FORBIDDEN,
                "the checkpoint is not signed by a key that this witness knows for the log",
            );
        }
        if old > new.size() {
            return Answer::wrong(StatusCode::BAD_REQUEST, "the old size is larger than the size of the checkpoint");
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match self.compare_and_remember(old, &proof, &new) {
            Ok(None) => {
                let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
                let line = self.key.cosign(new.text(), seconds).to_bytes();
                Answer { status: StatusCode::OK, body: String::from_utf8_lossy(&line).into_owned() }
            }
            Ok(Some(answer)) => {
                tracing::warn!(origin = new.origin(), size = new.size(), old, status = %answer.status, "a checkpoint was not cosigned");
                answer
            }
            Err(error) => {
                tracing::error!(%error, "the state of the witness cannot be read or written");
                Answer::wrong(StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot read or write its state")
            }
        }
    }

    /// Stores the checkpoint and returns none if it extends the last one. Otherwise, returns the answer.
    fn compare_and_remember(&self, old: u64, proof: &[Hash], new: &Checkpoint) -> io::Result<Option<Answer>> {
        let path = self.folder.join(format!("{}.txt", hex(&Sha256::digest(new.origin()))));
        let (last_size, last_root) = match file::read(&path)? {
            Some(text) => remembered(&text, new.origin())?,
            None => (0, tree::empty_root()),
        };
        if old != last_size || old == new.size() && last_root != new.root() {
            return Ok(Some(Answer { status: StatusCode::CONFLICT, body: format!("{last_size}\n") }));
        }
        if tree::check_consistency(old, &last_root, new.size(), &new.root(), proof).is_err() {
            let wrong = "the proof does not show that this checkpoint extends the last cosigned one";
            return Ok(Some(Answer::wrong(StatusCode::UNPROCESSABLE_ENTITY, wrong)));
        }
        if old != new.size() {
            let text = audit_proof::checkpoint::text(new.origin(), new.size(), &new.root());
            file::replace(&path, text.as_bytes())?;
        }
        Ok(None)
    }
}

impl Answer {
    /// Returns the media type of the body.
    pub fn content_type(&self) -> &'static str {
        match self.status {
            StatusCode::CONFLICT => "text/x.tlog.size",
            _ => "text/plain; charset=utf-8",
        }
    }

    fn wrong(status: StatusCode, why: &str) -> Self {
        Self { status, body: format!("{why}\n") }
    }
}

/// Parses a request into old size, proof and checkpoint.
fn read(body: &[u8]) -> Option<(u64, Vec<Hash>, &[u8])> {
    let end = body.windows(2).position(|two| two == b"\n\n")?;
    let mut lines = str::from_utf8(&body[..end]).ok()?.split('\n');
    let size = lines.next()?.strip_prefix("old ")?;
    let old: u64 = size.parse().ok()?;
    let hash = |line: &str| BASE64_STANDARD.decode(line).ok()?.try_into().ok();
    let proof: Vec<Hash> = lines.map(hash).collect::<Option<_>>()?;
    (old.to_string() == size && proof.len() <= MOST_HASHES).then(|| (old, proof, &body[end + 2..]))
}

/// Parses the stored size and root. Damaged state is an error, so that the witness does not start anew.
fn remembered(text: &str, origin: &str) -> io::Result<(u64, Hash)> {
    let read = || {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (name, size, root) =
            (lines.next()?, lines.next()?.parse().ok()?, BASE64_STANDARD.decode(lines.next()?).ok()?);
        (name == origin && lines.next().is_none()).then_some((size, root.try_into().ok()?))
    };
    read().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the stored checkpoint of {origin} is damaged"))
    })
}

/// Maximum number of hashes in a consistency proof.
const MOST_HASHES: usize = 63;

#[cfg(test)]
mod tests {
    use std::fs;

    use audit_proof::checkpoint::text;

    use super::*;
    use crate::checkpoint::note;

    struct Log {
        key: PrivateKey,
        leaves: Vec<Hash>,
    }

    impl Log {
        fn new() -> Self {
            Self {
                key: PrivateKey::generate("log.example", Kind::Log).unwrap(),
                leaves: (0..9).map(|n| [n; 32]).collect(),
            }
        }

        fn note(&self, size: usize) -> String {
            let mut frontier = tree::Frontier::new();
            self.leaves[..size].iter().for_each(|leaf| frontier.push(*leaf, |_, _, _| ()));
            let text = text("log.example", frontier.size(), &frontier.root());
            note::compose(&text, &[self.key.sign(&text)])
        }

        fn proof(&self, old: usize, new: usize) -> Vec<Hash> {
            struct Leaves<'a>(&'a [Hash]);
            impl tree::Nodes for Leaves<'_> {
                type Error = ();
                fn node(&mut self, level: u8, index: u64) -> Result<Hash, ()> {
                    let (width, first) = (1_usize << level, (index as usize) << level);
                    let mut frontier = tree::Frontier::new();
                    self.0[first..first + width].iter().for_each(|leaf| frontier.push(*leaf, |_, _, _| ()));
                    Ok(frontier.root())
                }
            }
            match old {
                0 => Vec::new(),
                _ => tree::consistency_proof(old as u64, new as u64, &mut Leaves(&self.leaves)).unwrap(),
            }
        }

        fn request(&self, old: usize, new: usize) -> String {
            let proof: String =
                self.proof(old, new).iter().map(|hash| format!("{}\n", BASE64_STANDARD.encode(hash))).collect();
            format!("old {old}\n{proof}\n{}", self.note(new))
        }
    }

    fn witness(log: &Log, folder: &Path) -> Witness {
        let key = PrivateKey::generate("w.example/1", Kind::Witness).unwrap();
        Witness::new(key, &[Key::parse(&log.key.vkey()).unwrap()], folder).unwrap()
    }

    #[test]
    fn what_goes_on_is_cosigned_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new();
        let witness = witness(&log, folder.path());
        let ask = |body: String| {
            let answer = witness.add_checkpoint(body.as_bytes());
            (answer.status.as_u16(), answer.body)
        };
        let cosigned = |body: String, size: usize| {
            let (status, line) = ask(body);
            assert_eq!(status, 200, "{line}");
            let checkpoint = Checkpoint::parse(format!("{}{line}", log.note(size)).as_bytes()).unwrap();
            checkpoint.verify(&Key::parse(&witness.key.vkey()).unwrap()).unwrap();
        };
        assert_eq!(ask(log.request(3, 5)), (409, "0\n".into()));
        cosigned(log.request(0, 3), 3);
        cosigned(log.request(3, 3), 3);
        cosigned(log.request(3, 8), 8);
        assert_eq!(ask(log.request(3, 9)), (409, "8\n".into()));
        assert_eq!(ask(log.request(0, 8)), (409, "8\n".into()));

        let mut other = Log { key: log.key.clone(), leaves: log.leaves.clone() };
        other.leaves[0] = [99; 32];
        assert_eq!(ask(other.request(8, 8)), (409, "8\n".into()));
        assert_eq!(ask(other.request(8, 9)).0, 422);
        assert_eq!(ask(log.request(8, 9).replacen("old 8\n", "old 8\nAAAA\n", 1)).0, 400);
        assert_eq!(ask(format!("old 8\n\n{}", log.note(9))).0, 422);
        assert_eq!(ask(log.request(8, 9).replacen("old 8", "old 08", 1)).0, 400);
        assert_eq!(ask(log.request(8, 9).replacen("old 8", "old 10", 1)).0, 400);
        assert_eq!(
            ask(format!("old 8\n{}\n{}", format!("{}\n", BASE64_STANDARD.encode([0; 32])).repeat(64), log.note(9))).0,
            400
        );
        assert_eq!(ask(String::new()).0, 400);
        assert_eq!(ask("old 8\n\nnonsense".into()).0, 400);

        let stranger = Log { key: PrivateKey::generate("log.example", Kind::Log).unwrap(), leaves: log.leaves.clone() };
        assert_eq!(ask(stranger.request(8, 9)).0, 403);
        let unknown = log.request(8, 9).replace("log.example", "other.example");
        assert_eq!(ask(unknown).0, 404);
        cosigned(log.request(8, 9), 9);
    }

    #[test]
    fn what_was_cosigned_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new();
        let first = witness(&log, folder.path());
        assert!(matches!(Witness::new(first.key.clone(), &[], folder.path()), Err(Error::Busy(_))));
        assert_eq!(first.add_checkpoint(log.request(0, 5).as_bytes()).status, 200);
        drop(first);
        let second = witness(&log, folder.path());
        assert_eq!(second.add_checkpoint(log.request(0, 3).as_bytes()).body, "5\n");
        assert_eq!(second.add_checkpoint(log.request(5, 6).as_bytes()).status, 200);
        drop(second);
        let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let memory = files.into_iter().find(|path| path.extension().is_some()).unwrap();
        let whole = fs::read_to_string(&memory).unwrap();
        for damaged in ["", &whole[..whole.len() - 2], &whole.replace("log.", "lag."), &format!("{whole}x\n")] {
            fs::write(&memory, damaged).unwrap();
            let answer = witness(&log, folder.path()).add_checkpoint(log.request(0, 3).as_bytes());
            assert_eq!(answer.status, 500, "damaged memory must not count as none: {damaged:?}");
        }
    }

    #[test]
    fn keys_of_the_other_kind_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key = |kind| PrivateKey::generate("a", kind).unwrap();
        let public = |kind| Key::parse(&key(kind).vkey()).unwrap();
        let new = |own, log| Witness::new(key(own), &[public(log)], folder.path()).map(drop);
        assert!(matches!(new(Kind::Log, Kind::Log), Err(Error::NoWitnessKey(_))));
        assert!(matches!(new(Kind::Witness, Kind::Witness), Err(Error::NoLogKey(_))));
        assert!(new(Kind::Witness, Kind::Log).is_ok());
    }
}
