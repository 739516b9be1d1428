//! Heads of workspace logs, and their digests in the system log.

use crate::digest::sha256;
use crate::encoding::to_base64;
use crate::string;
use crate::tree::Hash;

/// The head of a workspace log: the size and the root of its tree.
///
/// The system log holds only the digest of a head. The log id is random for each log, so the digest reveals nothing to
/// a party that does not know the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The log id, random for each log.
    pub log_id: [u8; 16],
    /// The workspace.
    pub workspace: &'a str,
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree of that size.
    pub root: Hash,
}

impl Head<'_> {
    /// Returns the text of the head: five lines, each ended by a line feed.
    pub fn text(&self) -> String {
        let workspace = string::quoted(self.workspace);
        let (log_id, root) = (to_base64(&self.log_id), to_base64(&self.root));
        format!("audit-head/v1\n{log_id}\n{workspace}\n{}\n{root}\n", self.size)
    }

    /// Returns SHA-256 of [`Head::text`].
    pub fn digest(&self) -> Hash {
        sha256(&[self.text().as_bytes()])
    }

    /// Returns [`Head::digest`] in base64, the form that `details.heads` of an event `heads_recorded` holds.
    pub fn digest_text(&self) -> String {
        to_base64(&self.digest())
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn text_and_digest() {
        let head = Head { log_id: [1; 16], workspace: "ac\"me\n", size: 7, root: [2; 32] };
        let expected = "audit-head/v1\nAQEBAQEBAQEBAQEBAQEBAQ==\n\"ac\\\"me\\n\"\n7\n\
                        AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n";
        assert_eq!(head.text(), expected);
        assert_eq!(head.digest(), <[u8; 32]>::from(Sha256::digest(expected)));
        assert_ne!(Head { log_id: [3; 16], ..head }.digest(), head.digest());
        assert_ne!(Head { size: 8, ..head }.digest(), head.digest());
    }
}
