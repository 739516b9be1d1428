//! Signed notes: the text of a checkpoint with its signatures (<https://c2sp.org/signed-note>).

use audit_proof::checkpoint::{Checkpoint, Key};
use signed_note::{Note, Signature, Verifier};

/// Returns the note of this text with these signatures.
pub fn compose(text: &str, signatures: &[Signature]) -> String {
    let note = Note::new(text.as_bytes(), signatures).map(|note| note.to_bytes());
    let note = note.ok().and_then(|note| String::from_utf8(note).ok());
    note.expect("the text of a checkpoint ends with a newline and has no control characters")
}

/// Returns the signatures in a note that are valid for this text and one of these keys, at most one for each key.
pub fn good_signatures(note: &str, text: &str, keys: &[Key]) -> Vec<Signature> {
    let signatures = signatures(note);
    keys.iter().filter_map(|key| signatures.iter().find(|signature| is_by(text, signature, key)).cloned()).collect()
}

/// Returns the names and ids of the keys that a note names in its signatures, which are not verified.
pub fn signers(note: &str) -> Vec<(String, u32)> {
    let lines = signatures(note);
    lines.iter().map(|signature| (signature.name().to_owned(), signature.id())).collect()
}

/// Returns whether this is a valid signature of this text by this key.
pub fn is_by(text: &str, signature: &Signature, key: &Key) -> bool {
    signature.name() == key.name() && signature.id() == key.id() && key.verify(text.as_bytes(), signature.signature())
}

/// Returns the checkpoint in a note if at least one of these keys has signed it.
pub fn signed_by(note: &str, keys: &[Key]) -> Option<Checkpoint> {
    let checkpoint = Checkpoint::parse(note.as_bytes()).ok()?;
    keys.iter().any(|key| checkpoint.verify(key).is_ok()).then_some(checkpoint)
}

fn signatures(note: &str) -> Vec<Signature> {
    let lines = note.rsplit_once("\n\n").map_or("", |(_, lines)| lines).lines();
    lines.filter_map(|line| Signature::from_bytes(line.as_bytes()).ok()).collect()
}
