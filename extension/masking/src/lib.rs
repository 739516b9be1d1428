//! Finds the secrets in the details of an event, and says how to store them. `docs/masking.md` lists the rules.
//!
//! The crate knows nothing of PostgreSQL. A caller describes its JSON as a [`Tree`], and gets the strings and numbers
//! to replace. Strings that hold JSON themselves go through the same rules.

mod json;
mod keys;
mod opaque;
mod text;
mod token;
mod tree;
mod url;

pub use keys::{DEFAULT_KEYS, Keys};
pub use tree::{Node, Replacement, Tree, replacements};

/// Masks the secrets in a text, which may be JSON. Returns the new text and the number of secrets. Returns None if there
/// is none.
pub fn mask_text(text: &str, keys: &mut Keys) -> Option<(String, u32)> {
    text::mask(text, keys, 0)
}

/// The replacement of a secret.
pub const MASK: &str = "***";
