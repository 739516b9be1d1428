//! The name of the folder of a workspace. No two workspaces share one.

use sha2::{Digest, Sha256};

use crate::text::hex;

/// Maximum length of the name of a folder, in bytes. The usual file systems have this limit.
const LONGEST: usize = 255;

/// Maximum length of the part of the workspace's name that a shortened name begins with, in bytes. Encrypting file
/// systems allow 143 bytes for the whole name.
const SHOWN: usize = 60;

/// Returns the name of the folder for a workspace, in Hive's layout. If it would be longer than 255 bytes, it has the
/// beginning of the workspace's name, `~`, and the SHA-256 of the workspace's name in hexadecimal.
pub(super) fn folder(workspace: &str) -> String {
    let encoded = encode(workspace);
    let name = format!("workspace={encoded}");
    if name.len() <= LONGEST {
        return name;
    }
    // An encoded name has no "~", so a shortened name is never that of another workspace.
    format!("workspace={}~{}", beginning(&encoded), hex(&Sha256::digest(workspace)))
}

/// Encodes the name of a workspace as a part of a path. Hive and readers of its layout decode it. Characters that are
/// not ASCII stay.
fn encode(workspace: &str) -> String {
    let mut encoded = String::with_capacity(workspace.len());
    let mut characters = workspace.chars().peekable();
    while let Some(c) = characters.next() {
        // Windows and Azure ignore a dot at the end of a name.
        let is_last_dot = c == '.' && characters.peek().is_none();
        if !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@') && !is_last_dot {
            encoded.push(c);
        } else {
            encoded.push_str(&format!("%{:02X}", u32::from(c)));
        }
    }
    encoded
}

/// Returns the beginning of an encoded name. It divides neither a character nor its code.
fn beginning(encoded: &str) -> &str {
    let bytes = encoded.as_bytes();
    let mut end = SHOWN;
    while !encoded.is_char_boundary(end) || bytes[end - 1] == b'%' || bytes[end - 2] == b'%' {
        end -= 1;
    }
    &encoded[..end]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_that_fit_stay_readable() {
        for (workspace, name) in [
            ("acme", "workspace=acme"),
            ("a/b", "workspace=a%2Fb"),
            ("a%2Fb", "workspace=a%252Fb"),
            ("a=b", "workspace=a%3Db"),
            ("a b+c", "workspace=a%20b%2Bc"),
            ("a.b", "workspace=a.b"),
            ("a.", "workspace=a%2E"),
            ("..", "workspace=.%2E"),
            ("~", "workspace=%7E"),
            ("Büro", "workspace=Büro"),
            ("\u{7f}", "workspace=%7F"),
        ] {
            assert_eq!(folder(workspace), name);
        }
        let longest = "a/".repeat(61) + "a";
        assert_eq!(folder(&longest).len(), 10 + 61 * 4 + 1);
        assert_eq!(folder(&longest), format!("workspace={}a", "a%2F".repeat(61)));
    }

    #[test]
    fn a_name_that_does_not_fit_has_a_hash() {
        let slashes = "/".repeat(200);
        let hash = "a9edaa36c97b0b8200699dcc7a4f4e941424f12d4a7f1e8d4707d393ab8e8c9e";
        assert_eq!(folder(&slashes), format!("workspace={}~{hash}", "%2F".repeat(20)));
    }

    #[test]
    fn shortened_names_differ_and_divide_no_character() {
        let mut names = BTreeSet::new();
        let mut workspaces = 0;
        for odd in ["/", "/x", "x/", "日/", "é/x", "%2F", "~/"] {
            for ahead in 0..4 {
                for length in 80..200 {
                    let workspace: String = "a".repeat(ahead) + &odd.repeat(length);
                    let name = folder(&workspace);
                    assert!(name.len() <= LONGEST, "{name}");
                    if let Some((shown, _)) = name.split_once('~') {
                        let decoded = percent_encoding::percent_decode_str(&shown["workspace=".len()..]).decode_utf8();
                        assert!(workspace.starts_with(&*decoded.unwrap()) && shown.len() > 60, "{name}");
                    }
                    names.insert(name);
                    workspaces += 1;
                }
            }
        }
        assert_eq!(names.len(), workspaces);
    }
}
