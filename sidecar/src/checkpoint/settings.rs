//! The configuration of signing.

use std::env;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use audit_proof::checkpoint::{Key, Kind};

use super::file;
use super::key::PrivateKey;
use super::witness::{self, Witness};
use crate::archive::Place;
use crate::config::{SigningArgs, WitnessAddress};

/// The keys, the state folder and the destinations of checkpoints.
#[derive(Debug)]
pub struct Settings {
    /// The keys, which all have one name. Each key signs every checkpoint.
    pub(super) keys: Vec<PrivateKey>,
    /// Their public keys.
    pub(super) public: Vec<Key>,
    /// Folder of the state.
    pub(super) folder: PathBuf,
    /// Destination for a copy of each checkpoint.
    pub(super) store: Option<Place>,
    /// The witnesses that are asked for cosignatures.
    pub(super) witnesses: Vec<Witness>,
    /// Number of cosignatures that a checkpoint must have.
    pub(super) quorum: usize,
}

impl Settings {
    /// Loads the keys. Returns none if no key is configured.
    ///
    /// # Errors
    /// Fails if a key cannot be used, if the keys have several names, or if no state folder is configured.
    pub fn load(args: &SigningArgs) -> anyhow::Result<Option<Self>> {
        let mut keys = Vec::new();
        for path in &args.signing_keys {
            keys.push(PrivateKey::read(path)?);
        }
        // This is not a flag, because other users of the machine can see flags.
        for text in env::var(KEY_VARIABLE).unwrap_or_default().split_whitespace() {
            keys.push(PrivateKey::parse(text, KEY_VARIABLE)?);
        }
        let Some(first) = keys.first() else {
            if args.signing_state.is_some() || !args.witnesses.is_empty() || args.checkpoint_store.is_some() {
                bail!(
                    "signing is configured, but no key is given. Use --signing-key, or put the key itself into {KEY_VARIABLE}"
                );
            }
            return Ok(None);
        };
        for key in &keys {
            if key.kind() != Kind::Log {
                bail!(
                    "the key {} belongs to a witness, not to a log. Create a key with audit-sidecar key create",
                    key.label()
                );
            }
            if key.name() != first.name() {
                bail!(
                    "the signing keys have two names, \"{}\" and \"{}\". The old and the new key of a log must have the same name",
                    first.name(),
                    key.name()
                );
            }
        }
        let folder = args.signing_state.clone().context(
            "--signing-state is missing. Give a folder for the last signed checkpoint, which must not be on the database's disk",
        )?;
        let public = keys.iter().map(|key| Key::parse(&key.vkey())).collect::<Result<_, _>>()?;
        let store = args.checkpoint_store.as_deref().map(Place::open).transpose();
        let store = store.context("the checkpoint store cannot be used")?;
        let witnesses = witnesses(&args.witnesses)?;
        let quorum = args.witness_quorum.unwrap_or(witnesses.len());
        if quorum > witnesses.len() {
            bail!("--witness-quorum is {quorum}, but only {} witnesses are configured", witnesses.len());
        }
        Ok(Some(Self { keys, public, folder, store, witnesses, quorum }))
    }

    /// Reserves the state for this process until the returned file is closed. `checkpoint sign` and `checkpoint reset` can use it
    /// in the meantime.
    ///
    /// # Errors
    /// Fails if another process has reserved it, or if the folder cannot be written.
    pub fn reserve(&self) -> anyhow::Result<File> {
        let folder = self.folder.display();
        file::lock(&self.folder, "serve.lock", Duration::ZERO).map_err(|error| match error {
            TryLockError::WouldBlock => anyhow!(
                "another audit-sidecar serve uses the signing state {folder}. Stop it, or give this one a folder of its own with \
                 --signing-state"
            ),
            TryLockError::Error(error) => anyhow!("the signing state {folder} cannot be locked: {error}"),
        })
    }

    /// Returns the origin of the checkpoints.
    pub fn origin(&self) -> &str {
        self.keys[0].name()
    }

    /// Returns the public keys, as `key show` prints them.
    pub fn vkeys(&self) -> impl Iterator<Item = String> {
        self.keys.iter().map(PrivateKey::vkey)
    }
}

fn witnesses(addresses: &[WitnessAddress]) -> anyhow::Result<Vec<Witness>> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let http = witness::http().context("TLS to the witnesses cannot be set up")?;
    Ok(addresses.iter().map(|address| Witness::new(address.clone(), http.clone())).collect())
}

/// The variable that holds the text of a key, or of several keys separated by white space.
const KEY_VARIABLE: &str = "AUDIT_SIGNING_KEY";
