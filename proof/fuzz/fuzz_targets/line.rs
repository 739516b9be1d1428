#![no_main]
//! Fuzzes event lines: a valid line has exactly one text, and all its forms have the same leaf hash.

use audit_proof::{Field, Line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(line) = Line::parse(data) else { return };
    assert_eq!(line.text().as_bytes(), data);
    let hash = line.leaf_hash();
    for form in [line.stub(), line.withhold(&[Field::Details]), line.withhold(&Field::ALL)] {
        assert_eq!(Line::parse(&form).map(|form| form.leaf_hash()), Ok(hash));
    }
});
