//! Files of the extension in the own installation of a cluster: those that are there, those of a released version, and those of a made-up
//! next version.

use std::fs;
use std::path::{Path, PathBuf};

use audit_harness::cluster::Cluster;
use audit_harness::prefix::Prefix;

/// The version of the extension that is built.
pub const HEAD: &str = env!("CARGO_PKG_VERSION");

/// The files of the extension in an installation.
pub struct Files {
    scripts: PathBuf,
    library: PathBuf,
}

impl Files {
    /// Returns the files in the installation of the cluster, which must be its own.
    pub fn of(cluster: &Cluster) -> Self {
        assert!(cluster.prefix().root().starts_with(cluster.dir()), "other tests use the same files");
        Self {
            scripts: cluster.prefix().extensions().unwrap(),
            library: cluster.prefix().libraries().unwrap().join("audit_log.so"),
        }
    }

    /// Adds the install script of a released version.
    pub fn add_released(&self, version: &str) {
        let name = script(version);
        fs::copy(repository().join("sql/released").join(&name), self.scripts.join(name)).unwrap();
    }

    /// Replaces the files by those of the made-up next version, and returns its number. The library says that it has that version, and
    /// is the same apart from this.
    pub fn install_next(&self) -> String {
        let next = next();
        let upgrade = include_str!("next.sql").replace("NEXT", &next);
        let fresh = fresh_next(&fs::read_to_string(self.scripts.join(script(HEAD))).unwrap(), &upgrade);
        replace(&self.scripts.join(script(&next)), fresh.as_bytes());
        replace(&self.scripts.join(format!("audit_log--{HEAD}--{next}.sql")), upgrade.as_bytes());
        let control = self.scripts.join("audit_log.control");
        let text = fs::read_to_string(&control).unwrap();
        replace(
            &control,
            replaced(&text, &format!("default_version = '{HEAD}'"), &format!("default_version = '{next}'")).as_bytes(),
        );
        replace(&self.library, &renumbered(fs::read(&self.library).unwrap(), HEAD.as_bytes(), next.as_bytes()));
        next
    }
}

/// Returns the released versions, oldest first.
pub fn released() -> Vec<String> {
    let mut versions: Vec<String> = fs::read_dir(repository().join("sql/released"))
        .unwrap()
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            Some(name.strip_prefix("audit_log--")?.strip_suffix(".sql")?.to_owned())
        })
        .collect();
    versions.sort_by_key(|version| version.split('.').map(|number| number.parse().unwrap()).collect::<Vec<u32>>());
    versions
}

/// Returns the install script that `make extension` has written.
pub fn install_script() -> String {
    let prefix = Prefix::from_env().unwrap();
    fs::read_to_string(prefix.extensions().unwrap().join(script(HEAD))).unwrap()
}

/// Returns the install script of a released version.
pub fn released_script(version: &str) -> String {
    fs::read_to_string(repository().join("sql/released").join(script(version))).unwrap()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn script(version: &str) -> String {
    format!("audit_log--{version}.sql")
}

/// Returns the version with a patch number that is greater by one and has as many digits, as far as possible.
fn next() -> String {
    let (series, patch) = HEAD.rsplit_once('.').unwrap();
    let patch: u32 = patch.parse().unwrap();
    assert_ne!(patch % 10, 9, "the library cannot be renumbered: {HEAD} and its successor have different lengths");
    format!("{series}.{}", patch + 1)
}

/// Returns the install script of the next version: the present one with the changes of the upgrade script in their places.
fn fresh_next(head: &str, upgrade: &str) -> String {
    let (_, new) = upgrade.split_once("-- New objects\n").unwrap();
    let text = replaced(head, "'retention preset \"%\" does not exist'", "'there is no retention preset \"%\"'");
    let text = replaced(&text, "    cleared_at timestamptz\n);", "    cleared_at timestamptz,\n    matter text\n);");
    let text = replaced(
        &text,
        "CREATE INDEX legal_hold_not_cleared ON audit.legal_hold (workspace) WHERE cleared_at IS NULL;",
        "COMMENT ON COLUMN audit.legal_hold.matter IS 'The legal matter';",
    );
    let comment = text.lines().find(|line| line.starts_with("COMMENT ON INDEX audit.legal_hold_not_cleared")).unwrap();
    text.replace(comment, "") + "\n" + new
}

/// Replaces a text that must occur once.
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old}");
    text.replace(old, new)
}

/// Writes a new file in place of the old one. A running server has mapped the old one, which must not change.
fn replace(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

/// Replaces each occurrence of a text by another one of the same length.
fn renumbered(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, window)| *window == old).map(|(at, _)| at).collect();
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    bytes
}
