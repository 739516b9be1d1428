//! The other two forms of a line: a line with withheld fields, and a stub.

use crate::digest;
use crate::encoding::{write_base64, write_hex};
use crate::field::Field;
use crate::layout::{write_leaf, write_salts};
use crate::line::{Content, Line, Part};

impl Line<'_> {
    /// Returns the line of the same event with these fields withheld, besides those that already are. The leaf hash is
    /// the same.
    ///
    /// A stub shows no field and is returned as it is. So is any other line that does not change.
    pub fn withhold(&self, fields: &[Field]) -> Vec<u8> {
        let Content::Fields { parts, salts } = &self.content else {
            return self.text.into();
        };
        let salts = salts.of_fields();
        let mut parts = *parts;
        for &field in fields {
            if let Part::Shown(raw) = parts[field as usize] {
                let digest = digest::field_digest(&salts[field as usize], raw.as_bytes());
                parts[field as usize] = Part::Withheld(digest);
            }
        }
        if parts.iter().all(|part| matches!(part, Part::Shown(_))) {
            return self.text.into();
        }

        let mut out = Vec::with_capacity(self.text.len() + 256);
        out.extend_from_slice(self.head.raw.as_bytes());
        for (field, part) in Field::ALL.into_iter().zip(&parts) {
            match part {
                Part::Shown(raw) => {
                    out.extend_from_slice(field.key().as_bytes());
                    out.extend_from_slice(raw.as_bytes());
                }
                Part::Withheld(digest) => {
                    out.extend_from_slice(field.digest_key().as_bytes());
                    write_hex(digest, &mut out);
                }
            }
        }
        let shown = |field: &Field| matches!(parts[*field as usize], Part::Shown(_));
        write_salts(Field::ALL.into_iter().filter(shown).map(|field| (field, &salts[field as usize])), &mut out);
        write_leaf(self.leaf, &mut out);
        out
    }

    /// Returns the same event as a stub: its head and body. The leaf hash is the same.
    pub fn stub(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.head.raw.len() + 96);
        out.extend_from_slice(self.head.raw.as_bytes());
        out.extend_from_slice(br#","body":"#);
        write_base64(&self.body(), &mut out);
        write_leaf(self.leaf, &mut out);
        out
    }
}
