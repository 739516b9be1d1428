//! The packs among the vectors.

use std::fs;
use std::path::{Path, PathBuf};

use audit_proof::checkpoint::Key;
use audit_sidecar::pack::verify::Trust;
use serde_json::Value;

/// A pack, and what the vectors say about it.
pub struct Pack {
    pub name: String,
    pub path: PathBuf,
    pub expected: Value,
}

/// Returns all packs.
pub fn packs() -> Vec<Pack> {
    let packs = index()["packs"].take();
    let pack = |expected: Value| Pack {
        name: expected["name"].as_str().unwrap().to_owned(),
        path: folder().join("packs").join(expected["file"].as_str().unwrap()),
        expected,
    };
    let Value::Array(packs) = packs else { panic!("packs.json has no packs") };
    packs.into_iter().map(pack).collect()
}

/// Returns the pack of this name.
pub fn find(name: &str) -> Pack {
    packs().into_iter().find(|pack| pack.name == name).unwrap_or_else(|| panic!("there is no pack {name}"))
}

/// Returns the key of the log.
pub fn log_key() -> Key {
    key("key")
}

/// Returns a key that has not signed.
pub fn stranger_key() -> Key {
    key("stranger")
}

/// Returns the key of the witness.
pub fn witness_key() -> Key {
    key("witness")
}

/// Returns trust in the key of the log.
pub fn trust() -> Trust {
    Trust { keys: vec![log_key()], ..Trust::default() }
}

/// Unpacks a pack into a folder. Returns none if the zip cannot be unpacked.
pub fn unpack(pack: &Pack) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let mut zip = zip::ZipArchive::new(fs::File::open(&pack.path).unwrap()).ok()?;
    zip.extract(folder.path()).ok()?;
    Some(folder)
}

/// Returns the text of a key.
pub fn index_key(name: &str) -> String {
    key(name).encoded()
}

fn key(name: &str) -> Key {
    Key::parse(index()[name].as_str().unwrap()).unwrap()
}

fn index() -> Value {
    serde_json::from_slice(&fs::read(folder().join("packs.json")).unwrap()).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proof/vectors")
}
