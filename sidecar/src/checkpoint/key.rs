//! Private keys as text: `PRIVATE+KEY+<name>+<id>+<type and seed in base64>`. Public keys are *vkeys*,
//! `<name>+<id>+<type and key in base64>`, as in <https://c2sp.org/signed-note>.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use audit_proof::checkpoint::{Kind, cosigned, key_id};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use signed_note::{Signature, is_key_name_valid};

use super::file;
use crate::text::{printable, shorten};

/// An Ed25519 key with its name. One key must not serve both a log and a witness, because its signatures would be
/// ambiguous.
#[derive(Clone)]
pub struct PrivateKey {
    name: String,
    kind: Kind,
    id: u32,
    key: SigningKey,
}

/// Errors of creating, reading and writing a key. No message shows the key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is not valid.
    #[error(
        "\"{0}\" is not a valid name of a key. Use 1 to 200 characters without spaces and \"+\", such as audit.example.com/log"
    )]
    Name(String),
    /// The text is not a private key.
    #[error("{from} does not hold a private key: {why}. Create a key with audit-sidecar key create")]
    Text {
        /// File or variable that the text comes from.
        from: String,
        /// Defect of the text.
        why: &'static str,
    },
    /// The file already exists.
    #[error("the file {0} already exists, and keys are never overwritten. Choose another name")]
    Exists(PathBuf),
    /// The file cannot be read or written.
    #[error("the key file {path} cannot be {attempt}")]
    File {
        /// The file.
        path: PathBuf,
        /// Operation that failed: `read` or `written`.
        attempt: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The operating system provides no random bytes.
    #[error("the operating system provided no random bytes for a key")]
    Random(#[source] getrandom::Error),
}

impl PrivateKey {
    /// Generates a key with this name.
    ///
    /// # Errors
    /// Fails with [`Error::Name`], [`Error::Random`].
    pub fn generate(name: &str, kind: Kind) -> Result<Self, Error> {
        if !is_name(name) {
            return Err(Error::Name(shorten(&printable(name)).to_owned()));
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(Error::Random)?;
        Ok(Self::new(name, kind, &seed))
    }

    /// Reads a key from a file. White space around it is ignored.
    ///
    /// # Errors
    /// Fails with [`Error::File`], [`Error::Text`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), attempt: "read", source };
        let text = fs::read_to_string(path).map_err(failed)?;
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o007 != 0 {
            tracing::warn!(path = %path.display(), "other users of this machine can read the key file; run chmod 600 on it");
        }
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses a key. Errors name `from` as the origin of the text.
    ///
    /// # Errors
    /// Fails with [`Error::Text`].
    pub fn parse(text: &str, from: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Text { from: from.to_owned(), why };
        let rest = text.trim().strip_prefix("PRIVATE+KEY+").ok_or(wrong("it does not begin with PRIVATE+KEY+"))?;
        // The base64 at the end may contain a "+". The name cannot.
        let parts: Vec<&str> = rest.splitn(3, '+').collect();
        let &[name, id, key] = &parts[..] else { return Err(wrong("it has fewer than five parts")) };
        let key = BASE64_STANDARD.decode(key).map_err(|_| wrong("its last part is not base64"))?;
        let (kind, seed) = match key.split_first() {
            Some((1, seed)) => (Kind::Log, seed),
            Some((4, seed)) => (Kind::Witness, seed),
            _ => return Err(wrong("it is not of type 1 (Ed25519) or 4 (Ed25519 of a witness)")),
        };
        let seed = seed.try_into().map_err(|_| wrong("its key does not have 32 bytes"))?;
        if !is_name(name) {
            return Err(wrong("its name is empty or too long, or contains a space"));
        }
        let key = Self::new(name, kind, seed);
        if id.len() != 8 || u32::from_str_radix(id, 16) != Ok(key.id) {
            return Err(wrong("its id does not match the key; the text is probably mistyped"));
        }
        Ok(key)
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    /// Fails with [`Error::Exists`], [`Error::File`].
    pub fn write_new(&self, path: &Path) -> Result<(), Error> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
            _ => Error::File { path: path.to_owned(), attempt: "written", source },
        };
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let written = file.write_all(format!("{}\n", self.reveal()).as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| file::sync_folder_of(path)).map_err(|error| {
            // A part of a key is useless. The file was created by this function.
            let _ = fs::remove_file(path);
            failed(error)
        })
    }

    /// Returns the private text.
    pub fn reveal(&self) -> String {
        let key = BASE64_STANDARD.encode([&[self.kind as u8], &self.key.to_bytes()[..]].concat());
        format!("PRIVATE+KEY+{}+{:08x}+{key}", self.name, self.id)
    }

    /// Returns the public text, which verifiers need.
    pub fn vkey(&self) -> String {
        format!("{}+{:08x}+{}", self.name, self.id, BASE64_STANDARD.encode(public(self.kind, &self.key)))
    }

    /// Returns the name. The name of a log's key is the origin of its checkpoints.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the purpose of the key.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns name and id, as in signatures: `audit.example.com/log+1a2b3c4d`.
    pub fn label(&self) -> String {
        format!("{}+{:08x}", self.name, self.id)
    }

    /// Signs the text of a checkpoint, which ends with a newline.
    pub fn sign(&self, text: &str) -> Signature {
        self.signature(self.key.sign(text.as_bytes()).to_bytes().to_vec())
    }

    /// Cosigns the text of a checkpoint at a time in seconds since 1970.
    pub fn cosign(&self, text: &str, seconds: u64) -> Signature {
        let signed = self.key.sign(cosigned(text, seconds).as_bytes());
        self.signature([&seconds.to_be_bytes()[..], &signed.to_bytes()].concat())
    }

    fn new(name: &str, kind: Kind, seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        Self { name: name.to_owned(), kind, id: key_id(name, kind, &key.verifying_key().to_bytes()), key }
    }

    fn signature(&self, bytes: Vec<u8>) -> Signature {
        Signature::new(self.name.clone(), self.id, bytes).expect("every key has a valid name")
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.label())
    }
}

fn is_name(name: &str) -> bool {
    is_key_name_valid(name) && !name.chars().any(char::is_control) && name.chars().count() <= 200
}

fn public(kind: Kind, key: &SigningKey) -> Vec<u8> {
    [&[kind as u8], &key.verifying_key().to_bytes()[..]].concat()
}

#[cfg(test)]
mod tests {
    use signed_note::{Note, StandardVerifier, VerifierList};

    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_signs_notes_that_others_verify() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        let key = PrivateKey::generate("audit.example.com/log", Kind::Log).unwrap();
        key.write_new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = PrivateKey::read(&path).unwrap();
        assert_eq!(read.reveal(), key.reveal());

        let text = "audit.example.com/log\n7\nAAAA\n";
        let note = Note::new(text.as_bytes(), &[read.sign(text)]).unwrap();
        let verifier = StandardVerifier::new(&key.vkey()).unwrap();
        let (good, _) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
        assert_eq!(good.len(), 1);
    }

    #[test]
    fn a_key_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.key");
        let key = || PrivateKey::generate("a", Kind::Log).unwrap();
        let first = key();
        first.write_new(&path).unwrap();
        assert!(matches!(key().write_new(&path), Err(Error::Exists(_))));
        assert_eq!(PrivateKey::read(&path).unwrap().reveal(), first.reveal());
    }

    /// The key pair in the tests of Go's package golang.org/x/mod/sumdb/note.
    #[test]
    fn keys_of_others_are_read() {
        let text = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        let key = PrivateKey::parse(text, "a test").unwrap();
        assert_eq!(key.vkey(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
        assert_eq!(key.reveal(), text);
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let key = PrivateKey::generate("a/b", Kind::Witness).unwrap().reveal();
        // Base64 may contain a plus sign, too.
        let seed = key.splitn(5, '+').last().unwrap().to_owned();
        for wrong in [
            String::new(),
            key.replace("PRIVATE", "PUBLIC"),
            key.replace("a/b", "a/c"),
            key.replace("a/b", ""),
            key[..key.len() - 4].to_owned(),
            format!("{key}AAAA"),
            format!("PRIVATE+KEY+{seed}"),
        ] {
            let error = PrivateKey::parse(&wrong, "the file").unwrap_err().to_string();
            assert!(error.contains("the file") && !error.contains(&seed), "{error}");
        }
        for wrong in ["", "a b", "a+b", "a\n", &"a".repeat(201)] {
            assert!(matches!(PrivateKey::generate(wrong, Kind::Log), Err(Error::Name(_))), "{wrong:?}");
        }
        assert!(!format!("{:?}", PrivateKey::parse(&key, "").unwrap()).contains(&seed));
    }
}
