//! The directory of a zip that may have been made to deceive: what it lists must be what any program unpacks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::{CompressionMethod, ZipArchive};

use super::unreadable::Unreadable;

/// A pack has no more files than this.
const MOST_FILES: usize = 64;

/// An opened zip, and where each file in it is.
pub(super) struct Directory {
    pub zip: ZipArchive<BufReader<File>>,
    /// Index of each entry by its name.
    pub entries: BTreeMap<String, usize>,
    /// Compressed size of each, in bytes; not more than the zip has.
    pub packed: BTreeMap<String, u64>,
}

impl Directory {
    /// Reads it. What must not be in a pack is told in `wrong`, and not read any further.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(file: File, wrong: &mut Vec<String>) -> Result<Self, Unreadable> {
        let listed = count(&mut BufReader::new(file.try_clone()?))?;
        let mut zip = ZipArchive::new(BufReader::with_capacity(256 << 10, file))?;
        if zip.len() > MOST_FILES {
            return Err(Unreadable::NotAPack(format!("it holds {} files", zip.len())));
        }
        if listed != Some(zip.len()) {
            wrong.push("the directory of the zip lists a name more than once, or is not one".to_owned());
        }
        let (mut entries, mut packed) = (BTreeMap::new(), BTreeMap::new());
        let length = zip.central_directory_start();
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index)?;
            let Ok(name) = str::from_utf8(entry.name_raw()).map(ToOwned::to_owned) else {
                wrong
                    .push(format!("the zip holds a file whose name is not UTF-8: {}", entry.name_raw().escape_ascii()));
                continue;
            };
            let plain = entry.is_file() && !entry.is_symlink() && !entry.encrypted();
            let known = matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated);
            if !is_plain(&name) || !plain || !known {
                wrong.push(format!("the zip holds what no pack does: {}", name.escape_debug()));
                continue;
            }
            packed.insert(name.clone(), entry.compressed_size().min(length));
            entries.insert(name, index);
        }
        Ok(Self { zip, entries, packed })
    }
}

/// Whether a name leads to a place below the folder that the pack is unpacked in, in every system.
fn is_plain(name: &str) -> bool {
    name.len() <= 200
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
        && name.split('/').all(|part| !part.trim_matches('.').is_empty())
}

/// How many entries the directory lists: [`ZipArchive`] keeps the last of those with the same name, other programs the first.
fn count(file: &mut (impl Read + Seek)) -> Result<Option<usize>, Unreadable> {
    let start = ZipArchive::new(&mut *file)?.central_directory_start();
    file.seek(SeekFrom::Start(start))?;
    let mut entries = 0;
    loop {
        let mut signature = [0; 4];
        file.read_exact(&mut signature)?;
        match &signature {
            b"PK\x01\x02" => entries += 1,
            // The end of the directory, in one of its two forms.
            b"PK\x05\x06" | b"PK\x06\x06" => return Ok(Some(entries)),
            _ => return Ok(None),
        }
        let mut fixed = [0; 42];
        file.read_exact(&mut fixed)?;
        // Lengths of name, extra field and comment, which follow.
        let rest = [24, 26, 28].map(|at| i64::from(u16::from_le_bytes([fixed[at], fixed[at + 1]])));
        file.seek_relative(rest.iter().sum())?;
    }
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn names_lead_downward() {
        for name in ["events.json", "proof/log.json", "README.txt"] {
            assert!(is_plain(name), "{name}");
        }
        for name in
            ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", "./a", "C:\\a", "a\\b", "a\0b", "é", "...", "a b"]
        {
            assert!(!is_plain(name), "{name}");
        }
    }
}
