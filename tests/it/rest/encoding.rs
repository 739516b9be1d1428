//! Compressed bodies, and bodies with a byte order mark.

use std::io::Read;

use audit_harness::database::Database;
use audit_harness::query::all;
use flate2::Compression;
use flate2::read::{GzEncoder, ZlibEncoder};

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::Request;

const NDJSON: &str = "application/x-ndjson";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzEncoder::new(text, Compression::default()).read_to_end(&mut out).unwrap();
    out
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ZlibEncoder::new(text, Compression::default()).read_to_end(&mut out).unwrap();
    out
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

fn post(rest: &Rest, media_type: &str, encoding: &str, body: Vec<u8>) -> Request {
    Request::post("/v1/events", media_type, body).token(&rest.writer).header("Content-Encoding", encoding)
}

#[tokio::test]
async fn compressed_events_are_stored() {
    let rest = Rest::start();
    let lines = "{\"action\":\"one\",\"target\":\"ü\"}\n{\"action\":\"two\"}\n".as_bytes();
    for (encoding, body) in [
        ("gzip", gzip(lines)),
        ("GZIP", gzip(lines)),
        ("deflate", deflate(lines)),
        ("zstd", zstd(lines)),
        ("identity", lines.to_vec()),
        // A file of several members, such as that of `cat a.gz b.gz`.
        ("gzip", [gzip(&lines[..10]), gzip(&lines[10..])].concat()),
        ("zstd", [zstd(&lines[..10]), zstd(&lines[10..])].concat()),
    ] {
        assert_eq!(rest.send(post(&rest, NDJSON, encoding, body)).ids().len(), 2, "{encoding}");
    }
    let stored = "SELECT concat_ws(' ', action, targets[1]) FROM audit.event WHERE category <> 'audit' ORDER BY id";
    assert_eq!(all::<String>(&rest.db.connect().await, stored, &[]).await, ["one ü", "two"].repeat(7));
    let hold = Request::post("/v1/legal-holds", "application/json", gzip(br#"{"workspace": "acme", "reason": "r"}"#));
    rest.send(hold.token(&rest.admin).header("Content-Encoding", "gzip")).ok();
}

#[tokio::test]
async fn a_damaged_or_unknown_encoding_is_refused() {
    let rest = Rest::start();
    let event = br#"{"action":"a"}"#;
    for encoding in ["br", "compress", "gzip, gzip", "gzip, br"] {
        let answer = rest.send(post(&rest, "application/json", encoding, gzip(event)));
        assert_eq!(answer.header("accept-encoding"), Some("gzip, zstd, deflate"), "{encoding}");
        refused(answer, 415, "unsupported_encoding");
    }
    let whole = gzip(event);
    let cut = whole[..whole.len() - 1].to_vec();
    let mut changed = whole.clone();
    changed[12] ^= 0x55;
    for body in [cut, changed, [whole, b"more".to_vec()].concat(), event.to_vec()] {
        refused(rest.send(post(&rest, "application/json", "gzip", body)), 400, "invalid_encoding");
    }
    assert_eq!(rest.stored().await, 0);
}

/// The limit is on the decompressed body, and the sidecar stops there.
#[tokio::test]
async fn a_small_body_cannot_become_a_large_one() {
    let rest = Rest::on(Database::new(), &["--max-body", "1MiB"]);
    let blank = vec![b' '; 400 << 20];
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", rest.sidecar.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = memory();
    for (encoding, body) in [("gzip", gzip(&blank)), ("deflate", deflate(&blank)), ("zstd", zstd(&blank))] {
        assert!(body.len() < 1 << 20, "{encoding}: {}", body.len());
        let error = refused(rest.send(post(&rest, NDJSON, encoding, body)), 413, "body_too_large");
        assert!(error["message"].as_str().unwrap().contains("when it is decompressed"), "{error}");
    }
    let grown = memory() - before;
    assert!(grown < 100_000, "the sidecar has taken {grown} kB");
    // A body within the limit passes, whatever its length is when it is compressed.
    let fits = [vec![b' '; (1 << 20) - 14], br#"{"action":"a"}"#.to_vec()].concat();
    assert_eq!(rest.send(post(&rest, NDJSON, "gzip", gzip(&fits))).ids().len(), 1);
}

#[tokio::test]
async fn a_byte_order_mark_is_ignored() {
    let rest = Rest::start();
    assert_eq!(rest.post("\u{feff}{\"action\":\"a\"}").ids().len(), 1);
    assert_eq!(rest.post("\u{feff} [{\"action\":\"a\"}]").ids().len(), 1);
    assert_eq!(rest.post_lines("\u{feff}{\"action\":\"a\"}\n{\"action\":\"b\"}").ids().len(), 2);
    let compressed = gzip("\u{feff}{\"action\":\"a\"}".as_bytes());
    assert_eq!(rest.send(post(&rest, NDJSON, "gzip", compressed)).ids().len(), 1);
    let hold = "\u{feff}{\"workspace\": \"acme\", \"reason\": \"r\"}";
    rest.send(Request::post("/v1/legal-holds", "application/json", hold).token(&rest.admin)).ok();
    // Lines keep their numbers, and a mark in the middle is none.
    let error = refused(rest.post_lines("\u{feff}\n{\"action\":\"a\"}\n7"), 400, "invalid_event");
    assert_eq!(error["detail"]["line"], 3);
    refused(rest.post_lines("{\"action\":\"a\"}\n\u{feff}{\"action\":\"b\"}"), 400, "invalid_json");
}
