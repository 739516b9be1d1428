//! Builds a pack without a database. Tests check it whole and damaged.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use audit_proof::checkpoint::{Key, Kind, cosigned, key_id, text};
use audit_proof::head::Head;
use audit_proof::pack::{Claim, Log, RecordedHead, Removed};
use audit_proof::tree::{Frontier, Hash, Nodes, inclusion_proof, subset_proof};
use audit_proof::{Event, Line, Source};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub const ORIGIN: &str = "audit.example.com";
pub const SINCE: i64 = 1_767_225_600_000_000;
pub const UNTIL: i64 = SINCE + 90 * 86_400_000_000;

/// The files of a pack, before they are zipped.
#[derive(Clone)]
pub struct Pack {
    pub files: BTreeMap<String, Vec<u8>>,
    pub log: Log,
    pub manifest: Value,
    /// Additional entries of the zip that the manifest does not list.
    pub extra: Vec<(String, Vec<u8>)>,
}

/// Number of leaves before the range of the pack.
pub const BEFORE: u64 = 5;

impl Pack {
    /// Creates a pack of a log with `leaves` leaves after [`BEFORE`] others. Every third one is a login, which the
    /// definition selects. The events of the leaves `removed` are gone.
    pub fn new(leaves: u64, removed: &[u64]) -> Self {
        let size = BEFORE + leaves;
        let mut tree = Tree::default();
        let (mut events, mut stubs, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        let (mut prefixes, mut shown) = (Vec::new(), 0_u64);
        let mut from_root = [0; 32];
        let mut line = Vec::new();
        for leaf in 0..size {
            if leaf == BEFORE {
                from_root = tree.frontier.root();
            }
            line.clear();
            event_line(leaf, &mut line);
            let parsed = Line::parse(&line).unwrap();
            let hash = parsed.leaf_hash();
            tree.push(hash);
            if leaf < BEFORE {
                continue;
            }
            prefixes.extend_from_slice(&hash[..4]);
            if removed.contains(&leaf) {
                add(&mut gone, |out| Removed { leaf, hash }.write(out));
            } else if leaf % 3 == 0 {
                shown += 1;
                add(&mut events, |out| out.extend_from_slice(&line));
            } else {
                add(&mut stubs, |out| out.extend(parsed.stub()));
            }
        }
        let head = Head { log_id: [9; 16], workspace: "acme", size, root: tree.frontier.root() };
        let from = Head { size: BEFORE, root: from_root, ..head };
        // The system log also holds the head of another log, which this pack must not need.
        let other = Head { log_id: [8; 16], workspace: "globex", size: 77, root: [5; 32] };
        let mut system = Tree::default();
        let recorded = [heads_event(0, SINCE - 60_000_000, &[from]), heads_event(1, UNTIL + 1, &[other, head])];
        recorded.iter().for_each(|line| system.push(Line::parse(line.as_bytes()).unwrap().leaf_hash()));
        let size_of_system = system.frontier.size();
        let mut recorded_head = |head: &Head<'_>, leaf: u64| RecordedHead {
            size: head.size,
            root: head.root,
            heads_event: recorded[leaf as usize].clone(),
            path: inclusion_proof(leaf, size_of_system, &mut system).unwrap(),
        };
        let log = Log {
            v: 1,
            workspace: "acme".to_owned(),
            log_id: head.log_id,
            claim: Claim::Complete,
            from: Some(recorded_head(&from, 0)),
            head: Some(recorded_head(&head, 1)),
            first: BEFORE,
            hashes: subset_proof(size, std::slice::from_ref(&(BEFORE..size)), &mut tree).unwrap(),
        };
        let note = note(&text(ORIGIN, size_of_system, &system.frontier.root()));
        let files = [
            ("README.txt", b"read me\n".to_vec()),
            ("events.json", array(events)),
            ("events.csv", b"id\r\n".to_vec()),
            ("proof/stubs.json", array(stubs)),
            ("proof/removed.json", array(gone)),
            ("proof/checkpoint.txt", note.into_bytes()),
            ("proof/prefixes.bin", prefixes),
        ];
        let manifest = json!({
            "pack_version": 1,
            "definition": { "name": "access-review", "title": "t", "include": [{ "actions": ["login_succeeded"] }] },
            "workspace": "acme",
            "period": { "since": "2026-01-01T00:00:00.000000Z", "until": "2026-04-01T00:00:00.000000Z" },
            "filters": {},
            "counts": { "events": shown },
            "key": log_key().encoded(),
        });
        let files = files.into_iter().map(|(name, content)| (name.to_owned(), content)).collect();
        Self { files, log, manifest, extra: Vec::new() }
    }

    /// Returns the lines of an array file.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = str::from_utf8(&self.files[name]).unwrap();
        let lines = text.lines().filter(|line| !matches!(*line, "[" | "]"));
        lines.map(|line| line.strip_suffix(',').unwrap_or(line).to_owned()).collect()
    }

    pub fn set_lines(&mut self, name: &str, lines: &[String]) {
        self.files.insert(name.to_owned(), array(lines.join(",\n").into_bytes()));
    }

    /// Returns the zip, with a manifest that fits the files.
    pub fn zip(&self) -> Vec<u8> {
        self.zip_with(|_| ())
    }

    /// Returns the zip, with a changed manifest.
    pub fn zip_with(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut files = self.files.clone();
        if files.keys().any(|name| name.starts_with("proof/")) {
            files.entry("proof/log.json".to_owned()).or_insert_with(|| self.log.to_json().unwrap());
        }
        let mut manifest = self.manifest.clone();
        manifest["files"] = files
            .iter()
            .map(|(name, content)| json!({ "name": name, "bytes": content.len(), "sha256": hex(&Sha256::digest(content)) }))
            .collect();
        change(&mut manifest);
        files.insert("manifest.json".to_owned(), serde_json::to_vec_pretty(&manifest).unwrap());
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_level(Some(2));
        for (name, content) in files.iter().chain(self.extra.iter().map(|(name, content)| (name, content))) {
            zip.start_file(name.as_str(), options).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }
}

/// Writes the zip to a file, which is removed with its directory.
pub fn in_file(zip: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pack.zip");
    std::fs::write(&path, zip).unwrap();
    (directory, path)
}

pub fn log_key() -> Key {
    Key::new(ORIGIN, Kind::Log, &key(1).verifying_key().to_bytes()).unwrap()
}

pub fn witness_key(seed: u8) -> Key {
    Key::new("witness.example.org", Kind::Witness, &key(seed).verifying_key().to_bytes()).unwrap()
}

/// Returns a checkpoint, signed by the log and one witness.
pub fn note(body: &str) -> String {
    let signed = key(1).sign(body.as_bytes()).to_bytes();
    let at = 1_780_000_000_u64;
    let cosigned = [&at.to_be_bytes()[..], &key(2).sign(cosigned(body, at).as_bytes()).to_bytes()].concat();
    let line = |name: &str, kind, seed, signature: &[u8]| {
        let id = key_id(name, kind, &key(seed).verifying_key().to_bytes());
        format!("— {name} {}\n", STANDARD.encode([&id.to_be_bytes(), signature].concat()))
    };
    format!(
        "{body}\n{}{}",
        line(ORIGIN, Kind::Log, 1, &signed),
        line("witness.example.org", Kind::Witness, 2, &cosigned)
    )
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Writes the full line of the event of a leaf.
pub fn event_line(leaf: u64, out: &mut Vec<u8>) {
    let at = if leaf < BEFORE { SINCE - 3_600_000_000 } else { SINCE + leaf as i64 };
    let login = leaf.is_multiple_of(3);
    let details =
        format!(r#"{{"method": "password", "attempt": {leaf}, "client": "Firefox 142.0 on Linux", "remember": true}}"#);
    let mut salt = [7; 16];
    salt[..8].copy_from_slice(&leaf.to_be_bytes());
    Event {
        id: 1000 + leaf as i64,
        workspace: "acme",
        occurred_at: at,
        recorded_at: at,
        category: if login { "auth" } else { "other" },
        action: if login { "login_succeeded" } else { "ticket_created" },
        outcome: "success",
        actor: Some("dana@example.com"),
        targets: ["user:17", "ticket:4711"],
        source: Source {
            ip: Some("203.0.113.9"),
            user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"),
            session_id: Some("b7f3c1d0"),
            request_id: Some("req-8841207"),
            database_user: Some("app"),
            application_name: Some("web"),
            client_addr: Some("10.0.0.5"),
        },
        details: &details,
        salt: salt.into(),
        leaf: Some(leaf),
    }
    .write_line(out)
    .unwrap();
}

pub fn heads_event(leaf: u64, at: i64, heads: &[Head<'_>]) -> String {
    let digests: Vec<String> = heads.iter().map(|head| format!("\"{}\"", STANDARD.encode(head.digest()))).collect();
    let mut out = Vec::new();
    Event {
        id: 1 + leaf as i64,
        workspace: "audit",
        occurred_at: at,
        recorded_at: at,
        category: "audit",
        action: "heads_recorded",
        outcome: "success",
        actor: Some("system:sealer"),
        targets: [""; 0],
        source: Source::default(),
        details: &format!(r#"{{"heads": [{}]}}"#, digests.join(", ")),
        salt: [3; 16].into(),
        leaf: Some(leaf),
    }
    .write_line(&mut out)
    .unwrap();
    String::from_utf8(out).unwrap()
}

#[derive(Default)]
pub struct Tree {
    pub frontier: Frontier,
    nodes: HashMap<(u8, u64), Hash>,
}

impl Tree {
    pub fn push(&mut self, leaf: Hash) {
        let Self { frontier, nodes } = self;
        frontier.push(leaf, |level, index, hash| {
            nodes.insert((level, index), *hash);
        });
    }
}

impl Nodes for Tree {
    type Error = Infallible;

    fn node(&mut self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.nodes[&(level, index)])
    }
}

fn add(array: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if !array.is_empty() {
        array.extend_from_slice(b",\n");
    }
    write(array);
}

fn array(elements: Vec<u8>) -> Vec<u8> {
    if elements.is_empty() {
        return b"[\n]\n".to_vec();
    }
    [b"[\n", &elements[..], b"\n]\n"].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
