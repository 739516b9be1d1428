//! Signed notes, put together: the text of a checkpoint and its signatures (<https://c2sp.org/signed-note>).

use audit_proof::checkpoint::{Checkpoint, Key};
use signed_note::{Note, Signature, Verifier};

/// The note of that text with these signatures.
pub fn compose(text: &str, signatures: &[Signature]) -> String {
    let note = Note::new(text.as_bytes(), signatures).map(|note| note.to_bytes());
    let note = note.ok().and_then(|note| String::from_utf8(note).ok());
    note.expect("text() of a checkpoint ends with a newline and has no control characters")
}

/// The signatures in a note that are good ones by these keys to that text, one for each key.
pub fn good_signatures(note: &str, text: &str, keys: &[Key]) -> Vec<Signature> {
    let lines = note.rsplit_once("\n\n").map_or("", |(_, lines)| lines).lines();
    let signatures: Vec<Signature> = lines.filter_map(|line| Signature::from_bytes(line.as_bytes()).ok()).collect();
    keys.iter().filter_map(|key| signatures.iter().find(|signature| is_by(text, signature, key)).cloned()).collect()
}

/// Whether it is a good signature by that key to that text.
pub fn is_by(text: &str, signature: &Signature, key: &Key) -> bool {
    signature.name() == key.name() && signature.id() == key.id() && key.verify(text.as_bytes(), signature.signature())
}

/// The checkpoint in a note that at least one of these keys has signed; none where it is not that.
pub fn signed_by(note: &str, keys: &[Key]) -> Option<Checkpoint> {
    let checkpoint = Checkpoint::parse(note.as_bytes()).ok()?;
    keys.iter().any(|key| checkpoint.verify(key).is_ok()).then_some(checkpoint)
}
