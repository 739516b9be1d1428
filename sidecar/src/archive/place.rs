//! The destination of the archive: a folder, or a bucket of S3, Google Cloud Storage or Azure.

use std::collections::BTreeSet;
use std::env;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use super::error::Error;
use super::folder::folder;

/// Size of the parts of an upload. S3 allows 10,000 parts, so a file may have 80 GB.
const PART: usize = 8 << 20;

/// Maximum number of parts that are uploaded at the same time.
const PARTS: usize = 3;

/// Prefixes of the variables that configure the stores.
const VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// A store, and the prefix of the archive in it.
#[derive(Clone, Debug)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    below: String,
    name: String,
}

impl Place {
    /// Opens a path or a URL: `file://`, `s3://`, `gs://`, `az://` and similar. A folder is created if it is missing. A
    /// bucket is not contacted before the first object is written.
    ///
    /// # Errors
    /// Fails with [`Error::Place`].
    pub fn open(to: &str) -> Result<Self, Error> {
        let wrong = |why: String| Error::Place { to: without_secrets(to), why };
        let Some((scheme, _)) = to.split_once("://") else {
            return Self::folder(FilePath::new(to)).map_err(wrong);
        };
        let url = Url::parse(to).map_err(|error| wrong(error.to_string()))?;
        match scheme {
            "file" => match url.to_file_path() {
                Ok(path) => Self::folder(&path).map_err(wrong),
                Err(()) => Err(wrong("the URL names no path of this machine".into())),
            },
            "s3" | "s3a" | "gs" | "az" | "azure" | "adl" | "abfs" | "abfss" => Self::bucket(&url).map_err(wrong),
            _ => Err(wrong("use the path of a folder, or a URL with file, s3, gs or az".into())),
        }
    }

    /// Returns the name for the audit log: the absolute path of the folder, or the URL without its secrets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Uses any store, for tests.
    #[cfg(test)]
    pub(super) fn on(store: impl ObjectStore) -> Self {
        Self { store: Arc::new(store), below: String::new(), name: "test".into() }
    }

    /// Returns the object for the events of a partition, by workspace and month.
    pub(super) fn object(&self, workspace: &str, month: &str, partition: &str) -> Result<Path, object_store::Error> {
        let name = format!("{}/month={month}/{partition}.parquet", folder(workspace));
        Ok(Path::parse(format!("{}/{name}", self.below).trim_start_matches('/'))?)
    }

    /// Returns the location of an object, for people.
    pub(super) fn locate(&self, object: &Path) -> String {
        let below = object.as_ref().strip_prefix(&self.below).unwrap_or(object.as_ref());
        format!("{}/{}", self.name.trim_end_matches('/'), below.trim_start_matches('/'))
    }

    /// Returns a writer of an object. The object replaces an earlier one when it is complete.
    pub(super) fn writer(&self, object: Path) -> BufWriter {
        BufWriter::with_capacity(Arc::clone(&self.store), object, PART).with_max_concurrency(PARTS)
    }

    /// Writes a small object with this name. It replaces an earlier one.
    ///
    /// # Errors
    /// Fails with [`Error::Store`].
    pub async fn put(&self, name: &str, content: Bytes) -> Result<(), Error> {
        let failed = |source| Error::Store { attempt: "write", object: format!("{}/{name}", self.name), source };
        let object = Path::parse(format!("{}/{name}", self.below).trim_start_matches('/'));
        let object = object.map_err(|error| failed(error.into()))?;
        self.store.put(&object, content.into()).await.map_err(failed)?;
        Ok(())
    }

    /// Copies an object to a temporary file, which has no name.
    ///
    /// # Errors
    /// Fails with [`Error::Store`] or [`Error::Spool`].
    pub(super) async fn fetch(&self, object: &Path) -> Result<File, Error> {
        let failed = |source| Error::Store { attempt: "read back", object: self.locate(object), source };
        let mut file = tempfile::tempfile().map_err(Error::Spool)?;
        let mut chunks = self.store.get(object).await.map_err(failed)?.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
            file.write_all(&chunk).map_err(Error::Spool)?;
        }
        file.rewind().map_err(Error::Spool)?;
        Ok(file)
    }

    /// Returns the objects of a partition that are not among `files`. An earlier run wrote them for events that the
    /// partition no longer holds.
    ///
    /// # Errors
    /// Fails with [`Error::Store`].
    pub(super) async fn leftovers(&self, partition: &str, files: &BTreeSet<&Path>) -> Result<Vec<String>, Error> {
        let below = Path::parse(&self.below).unwrap_or_default();
        let name = format!("{partition}.parquet");
        let failed = |source| Error::Store { attempt: "list", object: self.name.clone(), source };
        let mut found = Vec::new();
        let mut objects = self.store.list(Some(&below));
        while let Some(object) = objects.try_next().await.map_err(failed)? {
            if object.location.filename() == Some(&name) && !files.contains(&object.location) {
                found.push(self.locate(&object.location));
            }
        }
        Ok(found)
    }

    fn folder(path: &FilePath) -> Result<Self, String> {
        if path.as_os_str().is_empty() {
            return Err("the path is empty".into());
        }
        let path =
            std::fs::create_dir_all(path).and_then(|()| path.canonicalize()).map_err(|error| error.to_string())?;
        let name = path.to_str().ok_or("the path is not UTF-8")?.to_owned();
        // The partition may be dropped next, so its archive must survive a power failure.
        let store = LocalFileSystem::new_with_prefix(&path).map_err(|error| error.to_string())?.with_fsync(true);
        Ok(Self { store: Arc::new(store), below: String::new(), name })
    }

    fn bucket(url: &Url) -> Result<Self, String> {
        // If another default provider is installed already, it is kept.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = env::vars().filter(|(name, _)| VARIABLES.iter().any(|prefix| name.starts_with(prefix)));
        let (store, below) = object_store::parse_url_opts(url, options).map_err(|error| error.to_string())?;
        Ok(Self { store: store.into(), below: below.into(), name: without_secrets(url.as_str()) })
    }
}

/// Returns a URL without password and query, which may hold a signature.
pub fn without_secrets(to: &str) -> String {
    match Url::parse(to) {
        Ok(mut url) if to.contains("://") => {
            // This fails only for a URL that cannot have these parts.
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
            url.into()
        }
        _ => to.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn an_object_is_below_the_folders_of_its_workspace_and_month() {
        let place = Place::on(InMemory::new());
        for (workspace, folder) in [("a/b", "workspace=a%2Fb"), ("..", "workspace=.%2E")] {
            let object = place.object(workspace, "2026-01", "event_2027_02").unwrap();
            assert_eq!(object.as_ref(), format!("{folder}/month=2026-01/event_2027_02.parquet"));
        }
    }

    #[test]
    fn places_are_named_without_their_secrets() {
        for (to, name) in [
            ("s3://bucket/a/b", "s3://bucket/a/b"),
            ("az://container/a?sig=secret", "az://container/a"),
            ("s3://user:secret@bucket/a#secret", "s3://user@bucket/a"),
        ] {
            assert_eq!(without_secrets(to), name);
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for wrong in ["", "http://example.com/a", "memory:///", "ftp://host/a", "s3://", "file://host/a"] {
            assert!(matches!(Place::open(wrong), Err(Error::Place { .. })), "{wrong}");
        }
    }
}
