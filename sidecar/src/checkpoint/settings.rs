//! How checkpoints are signed, as it was configured.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, bail};
use audit_proof::checkpoint::{Key, Kind};

use super::key::PrivateKey;
use super::witness::{self, Witness};
use crate::archive::Place;
use crate::config::{SigningArgs, WitnessAddress};

/// With what, and where to.
#[derive(Debug)]
pub struct Settings {
    /// The keys, all of one name; each signs every checkpoint.
    pub(super) keys: Vec<PrivateKey>,
    /// Their public keys.
    pub(super) public: Vec<Key>,
    /// Folder of the state.
    pub(super) folder: PathBuf,
    /// Where a copy of each checkpoint goes.
    pub(super) store: Option<Place>,
    /// Who is asked for cosignatures.
    pub(super) witnesses: Vec<Witness>,
    /// How many cosignatures a checkpoint should have.
    pub(super) quorum: usize,
}

impl Settings {
    /// Reads the keys; none where no key is configured.
    ///
    /// # Errors
    /// Where a key cannot be used, keys have several names, or there is no folder for the state.
    pub fn load(args: &SigningArgs) -> anyhow::Result<Option<Self>> {
        let mut keys = Vec::new();
        for path in &args.signing_keys {
            keys.push(PrivateKey::read(path)?);
        }
        // Not a flag: others can see those.
        for text in env::var(KEY_VARIABLE).unwrap_or_default().split_whitespace() {
            keys.push(PrivateKey::parse(text, KEY_VARIABLE)?);
        }
        let Some(first) = keys.first() else {
            if args.signing_state.is_some() || !args.witnesses.is_empty() || args.checkpoint_store.is_some() {
                bail!(
                    "checkpoints are to be signed, but no key is given: use --signing-key, or {KEY_VARIABLE} with the key itself"
                );
            }
            return Ok(None);
        };
        for key in &keys {
            if key.kind() != Kind::Log {
                bail!(
                    "{} is the key of a witness: a log needs one of its own, from audit-sidecar key create",
                    key.label()
                );
            }
            if key.name() != first.name() {
                bail!(
                    "the signing keys have two names, \"{}\" and \"{}\": old and new key of a log need the same",
                    first.name(),
                    key.name()
                );
            }
        }
        let folder = args.signing_state.clone().context(
            "--signing-state is missing: the folder where what was signed last is remembered, on a disk that is not the database's",
        )?;
        let public = keys.iter().map(|key| Key::parse(&key.vkey())).collect::<Result<_, _>>()?;
        let store = args.checkpoint_store.as_deref().map(Place::open).transpose();
        let store = store.context("the checkpoint store cannot be used")?;
        let witnesses = witnesses(&args.witnesses)?;
        let quorum = args.witness_quorum.unwrap_or(witnesses.len());
        if quorum > witnesses.len() {
            bail!("a quorum of {quorum} cannot be reached with {} witnesses", witnesses.len());
        }
        Ok(Some(Self { keys, public, folder, store, witnesses, quorum }))
    }

    /// Origin of the checkpoints.
    pub fn origin(&self) -> &str {
        self.keys[0].name()
    }
}

fn witnesses(addresses: &[WitnessAddress]) -> anyhow::Result<Vec<Witness>> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let http = witness::http().context("TLS to the witnesses cannot be set up")?;
    Ok(addresses.iter().map(|address| Witness::new(address.clone(), http.clone())).collect())
}

/// The variable that holds the text of a key, or of several with white space between them.
const KEY_VARIABLE: &str = "AUDIT_SIGNING_KEY";
