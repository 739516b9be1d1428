/// The kind of a fault, by the rule of "Checking a pack" in `FORMAT.md` that the pack breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The form of the zip.
    Zip,
    /// `manifest.json`.
    Manifest,
    /// The definition, which must equal the built-in one of its name, and the filters that it allows.
    Definition,
    /// The list of files, their sizes and hashes.
    Files,
    /// The form of a file or of a line.
    Line,
    /// An event that the pack must not show, or not in this place.
    Event,
    /// The tables and the counts.
    Tables,
    /// `README.txt`.
    Readme,
    /// `proof/log.json`, and its agreement with the manifest.
    Log,
    /// The checkpoint and its signatures.
    Checkpoint,
    /// The head, or the head at the beginning of the range.
    Head,
    /// Leaves that are missing, occur twice or are outside of the range.
    Leaf,
    /// Events that the pack hides among those that it need not show.
    Stub,
    /// The hash of an event.
    Root,
    /// `proof/prefixes.bin`.
    Prefixes,
}

impl Fault {
    /// Returns the name of the kind, as the vectors have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Manifest => "manifest",
            Self::Definition => "definition",
            Self::Files => "files",
            Self::Line => "line",
            Self::Event => "event",
            Self::Tables => "tables",
            Self::Readme => "readme",
            Self::Log => "log",
            Self::Checkpoint => "checkpoint",
            Self::Head => "head",
            Self::Leaf => "leaf",
            Self::Stub => "stub",
            Self::Root => "root",
            Self::Prefixes => "prefixes",
        }
    }

    /// Returns the cause as a sentence.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Zip => "The zip does not have the form of a pack. Programs could read different files from it.",
            Self::Manifest => "manifest.json does not have its form.",
            Self::Definition => "The rules of the pack are not those that its name stands for.",
            Self::Files => "The files of the pack are not those that its manifest lists.",
            Self::Line => "A file does not have its format.",
            Self::Event => "The pack shows events that do not belong in it.",
            Self::Tables => "The tables or the counts do not agree with the events.",
            Self::Readme => "README.txt is not the text that belongs to this pack.",
            Self::Log => "The proof contradicts itself or the manifest.",
            Self::Checkpoint => "The key or the witness that must have signed did not sign this pack.",
            Self::Head => "The signed checkpoint does not confirm the state of the log that the pack is compared with.",
            Self::Leaf => "Entries of the log are missing, or occur twice.",
            Self::Stub => "The pack hides events that it must show.",
            Self::Root => "Events or the proof were changed: they are not those of the log.",
            Self::Prefixes => "proof/prefixes.bin does not agree with the events.",
        }
    }
}
