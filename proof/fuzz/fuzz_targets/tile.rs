#![no_main]
//! Paths of tiles: each tile has one.

use audit_proof::tile::Tile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    if let Some(tile) = Tile::from_path(path) {
        assert_eq!(tile.path(), path);
    }
});
