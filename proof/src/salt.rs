//! The salt of an event. It prevents guesses of the values behind digests, also after the erasure of fields.

use crate::digest;
use crate::field::Field;

/// The salt of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Salt {
    /// The salt of a whole event. The salts of its fields are derived from it.
    Whole([u8; 16]),
    /// The rest of the salt of a redacted event.
    Redacted(Redacted),
}

/// The rest of the salt of a redacted event. For each field, in the order of [`Field::ALL`], it has the salt, or the
/// digest if the field was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redacted([Kept; 4]);

/// The rest of the salt for one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Salt([u8; 32]),
    Digest([u8; 32]),
}

impl Salt {
    /// Reads the bytes that [`Salt::to_stored`] returns. Returns None for any other bytes.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        if let Ok(salt) = bytes.try_into() {
            return Some(Self::Whole(salt));
        }
        let (&erased, shares) = bytes.split_first()?;
        let (shares, []) = shares.as_chunks::<32>() else {
            return None;
        };
        let shares: &[[u8; 32]; 4] = shares.try_into().ok()?;
        if erased == 0 || erased >> 4 != 0 {
            return None;
        }
        Some(Self::Redacted(Redacted(Field::ALL.map(|field| {
            let share = shares[field as usize];
            if erased >> (field as u8) & 1 == 1 { Kept::Digest(share) } else { Kept::Salt(share) }
        }))))
    }

    /// Returns the stored form. A whole salt has its 16 bytes. A redacted one has 129. The first byte has a bit
    /// for each erased field, with the first field in the lowest bit. Then come 32 bytes for each field, its salt or its
    /// digest.
    pub fn to_stored(&self) -> Vec<u8> {
        match self {
            Self::Whole(salt) => salt.to_vec(),
            Self::Redacted(Redacted(shares)) => {
                let mut out = vec![0];
                for (place, share) in shares.iter().enumerate() {
                    match share {
                        Kept::Salt(bytes) => out.extend_from_slice(bytes),
                        Kept::Digest(bytes) => {
                            out[0] |= 1 << place;
                            out.extend_from_slice(bytes);
                        }
                    }
                }
                out
            }
        }
    }

    /// Returns the salt after the erasure of a field with this digest. A field that was erased before keeps its digest.
    pub fn redact(&self, field: Field, digest: [u8; 32]) -> Self {
        let mut shares = self.shares();
        if let Kept::Salt(_) = shares[field as usize] {
            shares[field as usize] = Kept::Digest(digest);
        }
        Self::Redacted(Redacted(shares))
    }

    /// Returns whether a field was erased.
    pub fn is_redacted(&self, field: Field) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Redacted(Redacted(shares)) => matches!(shares[field as usize], Kept::Digest(_)),
        }
    }

    pub(crate) fn shares(&self) -> [Kept; 4] {
        match self {
            Self::Whole(salt) => digest::field_salts(salt).map(Kept::Salt),
            Self::Redacted(Redacted(shares)) => *shares,
        }
    }

    pub(crate) fn share(&self, field: Field) -> Kept {
        match self {
            Self::Whole(salt) => Kept::Salt(digest::field_salt(salt, field)),
            Self::Redacted(Redacted(shares)) => shares[field as usize],
        }
    }
}

impl From<[u8; 16]> for Salt {
    fn from(salt: [u8; 16]) -> Self {
        Self::Whole(salt)
    }
}
