/// One of the four parts of an event that can be withheld, each hashed on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Who did it.
    Actor,
    /// What it was done to.
    Targets,
    /// Where it came from.
    Source,
    /// What else is known of it.
    Details,
}

impl Field {
    /// All fields, in the order of the line.
    pub const ALL: [Self; 4] = [Self::Actor, Self::Targets, Self::Source, Self::Details];

    /// The field of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The key of the field, which is also the message that its salt is derived from.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Targets => "targets",
            Self::Source => "source",
            Self::Details => "details",
        }
    }

    /// What stands before the raw text of the field.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Actor => r#","actor":"#,
            Self::Targets => r#","targets":"#,
            Self::Source => r#","source":"#,
            Self::Details => r#","details":"#,
        }
    }

    /// What stands before the digest of the field.
    pub(crate) const fn digest_key(self) -> &'static str {
        match self {
            Self::Actor => r#","actor_digest":"#,
            Self::Targets => r#","targets_digest":"#,
            Self::Source => r#","source_digest":"#,
            Self::Details => r#","details_digest":"#,
        }
    }
}
