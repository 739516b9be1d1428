/// One of the four parts of an event that can be withheld. Each is hashed on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The person or program that acted.
    Actor,
    /// The things that the action was done to.
    Targets,
    /// The origin of the event.
    Source,
    /// All other data about the event.
    Details,
}

impl Field {
    /// All fields, in the order of the line.
    pub const ALL: [Self; 4] = [Self::Actor, Self::Targets, Self::Source, Self::Details];

    /// Returns the field of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Returns the key of the field. Its salt is derived from this text, too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Targets => "targets",
            Self::Source => "source",
            Self::Details => "details",
        }
    }

    /// Returns the text in front of the raw text of the field.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Actor => r#","actor":"#,
            Self::Targets => r#","targets":"#,
            Self::Source => r#","source":"#,
            Self::Details => r#","details":"#,
        }
    }

    /// Returns the text in front of the digest of the field.
    pub(crate) const fn digest_key(self) -> &'static str {
        match self {
            Self::Actor => r#","actor_digest":"#,
            Self::Targets => r#","targets_digest":"#,
            Self::Source => r#","source_digest":"#,
            Self::Details => r#","details_digest":"#,
        }
    }
}
