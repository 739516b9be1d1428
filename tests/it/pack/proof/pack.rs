//! An unpacked pack, which can be changed and zipped again with a manifest that fits.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use audit_proof::Line;
use audit_proof::checkpoint::Checkpoint;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::unzip;

pub const EVENTS: &str = "events.json";
pub const LOG: &str = "proof/log.json";
pub const CHECKPOINT: &str = "proof/checkpoint.txt";
pub const STUBS: &str = "proof/stubs.json";
pub const REMOVED: &str = "proof/removed.json";
pub const REMOVALS: &str = "proof/removals.json";
pub const PREFIXES: &str = "proof/prefixes.bin";

/// The manifest and the other files of a pack.
#[derive(Clone, PartialEq)]
pub struct Pack {
    pub files: BTreeMap<String, Vec<u8>>,
    pub manifest: Value,
    /// List of files for the manifest, if it must differ from the real one.
    pub files_changed: Option<Value>,
    /// Additional entries of the zip.
    pub beside: Vec<Beside>,
}

/// Entries that a pack never holds.
#[derive(Clone, PartialEq)]
pub enum Beside {
    File(&'static str),
    Link(&'static str),
    Folder(&'static str),
}

impl Pack {
    pub fn open(path: &Path) -> Self {
        let mut files = unzip(&fs::read(path).unwrap());
        let manifest = serde_json::from_slice(&files.remove("manifest.json").unwrap()).unwrap();
        Self { files, manifest, files_changed: None, beside: Vec::new() }
    }

    pub fn zip(&self) -> Vec<u8> {
        let mut manifest = self.manifest.clone();
        manifest["files"] = self.files_changed.clone().unwrap_or_else(|| self.listed());
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        let manifest = ("manifest.json", serde_json::to_vec(&manifest).unwrap());
        let files = self.files.iter().map(|(name, content)| (name.as_str(), content.clone()));
        for (name, content) in files.chain([manifest]) {
            zip.start_file(name, options).unwrap();
            zip.write_all(&content).unwrap();
        }
        for beside in &self.beside {
            match beside {
                Beside::File(name) => zip.start_file(*name, options),
                Beside::Link(name) => zip.add_symlink(*name, "events.json", options),
                Beside::Folder(name) => zip.add_directory(*name, options),
            }
            .unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// Returns the list of files for the manifest.
    pub fn listed(&self) -> Value {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let listed = |(name, content): (&String, &Vec<u8>)| json!({ "name": name, "bytes": content.len(), "sha256": hex(&Sha256::digest(content)) });
        self.files.iter().map(listed).collect()
    }

    /// Returns the elements of an array file.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = str::from_utf8(&self.files[name]).unwrap();
        let lines = text.lines().filter(|line| !matches!(*line, "[" | "]"));
        lines.map(|line| line.strip_suffix(',').unwrap_or(line).to_owned()).collect()
    }

    /// Replaces the elements of an array file, and updates the number of events in the manifest.
    pub fn set_lines(&mut self, name: &str, lines: &[String]) {
        let end = if lines.is_empty() { "" } else { "\n" };
        self.files.insert(name.to_owned(), format!("[\n{}{end}]\n", lines.join(",\n")).into_bytes());
        if name == EVENTS {
            self.manifest["counts"]["events"] = json!(lines.len());
        }
    }

    pub fn log(&self) -> Value {
        serde_json::from_slice(&self.files[LOG]).unwrap()
    }

    pub fn set_log(&mut self, log: &Value) {
        self.files.insert(LOG.to_owned(), serde_json::to_vec(log).unwrap());
    }

    pub fn is_complete(&self) -> bool {
        self.log()["claim"] == "complete"
    }

    /// Returns the size of the head.
    pub fn size(&self) -> u64 {
        let checkpoint = || Checkpoint::parse(&self.files[CHECKPOINT]).unwrap().size();
        self.log()["head"]["size"].as_u64().unwrap_or_else(checkpoint)
    }

    /// Returns whether the leaf of a line is proven.
    pub fn proves(&self, line: &str) -> bool {
        leaf(line).is_some_and(|leaf| leaf < self.size())
    }
}

/// Returns the leaf index of a valid line of any of the three files.
pub fn leaf(line: &str) -> Option<u64> {
    match Line::parse(line.as_bytes()) {
        Ok(line) => line.leaf(),
        Err(_) => serde_json::from_str::<Value>(line).unwrap()["leaf"].as_u64(),
    }
}
