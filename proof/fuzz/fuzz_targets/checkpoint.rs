#![no_main]
//! Fuzzes signed notes and keys.

use audit_proof::checkpoint::{Checkpoint, Key};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fuzz_target!(|data: &[u8]| {
    if let Ok(checkpoint) = Checkpoint::parse(data) {
        let key = Key::parse(KEY).expect("the key is valid");
        // Only the owner of the key can have signed, so no input verifies.
        assert!(checkpoint.verify(&key).is_err());
    }
    if let Some(key) = str::from_utf8(data).ok().and_then(|text| Key::parse(text).ok()) {
        assert_eq!(key.encoded().as_bytes(), data);
    }
});
