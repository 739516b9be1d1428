//! What keeps the digests of an event's fields from being guessed, also after some of the fields were erased.

use crate::digest;
use crate::field::Field;

/// The salt of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Salt {
    /// Of an event that is whole: the salts of its fields are derived from it.
    Whole([u8; 16]),
    /// Of an event of which fields were erased.
    Redacted(Redacted),
}

/// What is left of the salt of an event of which fields were erased: for each field, in the order of [`Field::ALL`], its salt, or
/// its digest where it was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redacted([Kept; 4]);

/// What is kept of a field's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Salt([u8; 32]),
    Digest([u8; 32]),
}

impl Salt {
    /// Reads what [`Salt::to_stored`] gives; none for anything else.
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

    /// The bytes to store it in: the 16 of a whole one, or 129: a bit for each field that was erased, the first field the lowest,
    /// then 32 bytes for each field, its salt or its digest.
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

    /// The same with a field erased, whose digest this is. The digest of one that was erased before stays.
    pub fn redact(&self, field: Field, digest: [u8; 32]) -> Self {
        let mut shares = self.shares();
        if let Kept::Salt(_) = shares[field as usize] {
            shares[field as usize] = Kept::Digest(digest);
        }
        Self::Redacted(Redacted(shares))
    }

    /// Whether a field was erased.
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
