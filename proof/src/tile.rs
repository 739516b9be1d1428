//! Tiles: rows of up to 256 hashes of a tree, with the paths of C2SP tlog-tiles.

/// The number of levels of a tree between two levels of tiles. Each hash in a full tile of level L+1 is that of a whole
/// tile of level L.
pub const HEIGHT: u8 = 8;

/// The number of hashes in a full tile.
pub const FULL: u16 = 1 << HEIGHT;

/// The highest level of tiles. No tree has enough leaves to need another.
pub const MAX_LEVEL: u8 = 7;

/// A tile. Its hashes are those of the perfect subtrees of 2^(8·level) leaves, from `index` · 256 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// The level, from 0 for the hashes of leaves to [`MAX_LEVEL`].
    pub level: u8,
    /// The position of the tile in its level, counted from 0.
    pub index: u64,
    /// The number of hashes, from 1 to [`FULL`].
    pub width: u16,
}

impl Tile {
    /// Returns the path, relative to the prefix of the log, such as `tile/0/x001/x234/067`. A tile of only 5 hashes has
    /// `.p/5` at the end of its path.
    pub fn path(&self) -> String {
        let mut index = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            index = format!("x{:03}/{index}", rest % 1000);
            rest /= 1000;
        }
        let part = if self.width < FULL { format!(".p/{}", self.width) } else { String::new() };
        format!("tile/{}/{index}{part}", self.level)
    }

    /// Returns the tile of a path that [`Tile::path`] returns. Returns None for any other text.
    pub fn from_path(path: &str) -> Option<Self> {
        // `tlog_tiles` is not used here, because it ends the process on `tile/8/0/000.p/0`.
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok()?),
            None => (rest, FULL),
        };
        let mut tile = Self { level: level.parse().ok()?, index: 0, width };
        for digits in index.split('/') {
            let digits: u64 = digits.strip_prefix('x').unwrap_or(digits).parse().ok()?;
            tile.index = tile.index.checked_mul(1000)?.checked_add(digits)?;
        }
        let exists = tile.level <= MAX_LEVEL && (1..=FULL).contains(&tile.width);
        // The comparison refuses every other spelling of the path.
        (exists && tile.path() == path).then_some(tile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_specification() {
        for (tile, path) in [
            (Tile { level: 0, index: 1_234_067, width: 256 }, "tile/0/x001/x234/067"),
            (Tile { level: 0, index: 0, width: 1 }, "tile/0/000.p/1"),
            (Tile { level: 1, index: 999, width: 255 }, "tile/1/999.p/255"),
            (Tile { level: 7, index: 1000, width: 256 }, "tile/7/x001/000"),
            (Tile { level: 0, index: (1 << 55) - 1, width: 256 }, "tile/0/x036/x028/x797/x018/x963/967"),
        ] {
            assert_eq!(tile.path(), path);
            assert_eq!(Tile::from_path(path), Some(tile));
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "/tile/0/000",
            "tile/8/000",
            "tile/64/000",
            "tile/8/0/000",
            "tile/00/000",
            "tile/+1/000",
            "tile/data/000",
            "tile/entries/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/000",
            "tile/0/001/000",
            "tile/0/xx01/000",
            "tile/0/x01/000",
            "tile/0/000.p/0",
            "tile/0/000.p/01",
            "tile/0/000.p/256",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/0/000/",
            "tile/0/../000",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/\u{0661}00",
        ] {
            assert_eq!(Tile::from_path(path), None, "{path}");
        }
    }

    #[test]
    fn every_index_comes_back() {
        for index in (0..3000).chain((1..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit])) {
            for width in [1, 9, 255, 256] {
                let tile = Tile { level: 3, index, width };
                let path = tile.path();
                assert_eq!(Tile::from_path(&path), Some(tile));
                // That crate includes the height of a tile in its paths.
                let theirs = tlog_tiles::Tile::new(HEIGHT, 3, index, width.into(), false).path();
                assert_eq!(theirs.replacen("tile/8/", "tile/", 1), path);
            }
        }
    }
}
