#![no_main]
//! Fuzzes paths of tiles: each tile has exactly one path.

use audit_proof::tile::Tile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    if let Some(tile) = Tile::from_path(path) {
        assert_eq!(tile.path(), path);
    }
});
