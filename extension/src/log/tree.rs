//! The writer of workspace logs. It adds leaves to the frontier of their log and to tiles, in the layout of C2SP
//! tlog-tiles.
//!
//! An incomplete tile consists of several rows of `audit.tile`, one for each pass that added to it. They become one row
//! when the tile is full.

use std::collections::HashMap;

use audit_proof::tree::{Frontier, Hash};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::spi::{Session, Statement};
use crate::pg::values::{self, Text};

/// The number of hashes in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// The number of levels of the tree between two levels of tiles.
pub const TILE_HEIGHT: u8 = 8;

/// The maximum number of bytes of hashes that wait to be written.
const MOST_BYTES: usize = 1 << 20;

/// The maximum number of heads that wait to be written.
const MOST_HEADS: usize = 1000;

/// A writer of many rows at a time. A statement for each row would take longer than the row itself.
pub struct Writer {
    find: Statement,
    begin: Statement,
    insert_tiles: Statement,
    complete_tile: Statement,
    store: Statement,
    found: HashMap<String, Frontier>,
    tiles: Tiles,
    heads: Vec<Head>,
}

/// Rows of `audit.tile` that are not written yet, column by column.
#[derive(Default)]
struct Tiles {
    workspaces: Vec<String>,
    levels: Vec<i64>,
    firsts: Vec<i64>,
    hashes: Vec<Vec<u8>>,
    bytes: usize,
    /// The ids of all rows. `starts` and `ends` say which of them belong to a row, `least` and `greatest` are their
    /// bounds.
    ids: Vec<i64>,
    starts: Vec<i64>,
    ends: Vec<i64>,
    least: Vec<i64>,
    greatest: Vec<i64>,
}

/// A row of `audit.log` that is not written yet.
struct Head {
    workspace: String,
    frontier: Frontier,
}

impl Writer {
    /// Prepares the statements.
    pub fn new(session: &Session) -> Writer {
        let tile = [
            pg_sys::TEXTOID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
            pg_sys::BYTEAOID,
            pg_sys::INT8ARRAYOID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
        ];
        let tiles = [
            pg_sys::TEXTARRAYOID,
            pg_sys::INT8ARRAYOID,
            pg_sys::INT8ARRAYOID,
            pg_sys::BYTEAARRAYOID,
            pg_sys::INT8ARRAYOID,
            pg_sys::INT8ARRAYOID,
            pg_sys::INT8ARRAYOID,
            pg_sys::INT8ARRAYOID,
            pg_sys::INT8ARRAYOID,
        ];
        let heads = [pg_sys::TEXTARRAYOID, pg_sys::INT8ARRAYOID, pg_sys::BYTEAARRAYOID, pg_sys::BYTEAARRAYOID];
        Writer {
            find: session.prepare(FIND, &[pg_sys::TEXTARRAYOID]),
            begin: session.prepare(BEGIN, &[pg_sys::TEXTOID, pg_sys::BYTEAOID]),
            insert_tiles: session.prepare(INSERT_TILES, &tiles),
            complete_tile: session.prepare(COMPLETE_TILE, &tile),
            store: session.prepare(STORE, &heads),
            found: HashMap::new(),
            tiles: Tiles::default(),
            heads: Vec::new(),
        }
    }

    /// Looks up the logs of the workspaces that will be opened next. Raises SQLSTATE XX001 if a frontier is damaged.
    pub fn find<'a>(&mut self, workspaces: impl Iterator<Item = &'a String>) {
        let rows = self.find.run(&[Some(text_array(workspaces))]);
        self.found = (0..rows.len())
            .map(|row| {
                // SAFETY: the columns belong to a row that is still held. They are text, bigint and bytea, and none is
                // NULL.
                let (workspace, size, nodes) = unsafe {
                    let datum = |column| rows.datum(row, column).expect("no column of audit.log is NULL");
                    (Text::from_datum(datum(0)).value(), datum(1).value() as u64, values::varlena_bytes(datum(2)).0)
                };
                let nodes = nodes.chunks_exact(32).map(|node| node.try_into().expect("32 bytes")).collect();
                match Frontier::from_nodes(size, nodes) {
                    Ok(frontier) => (workspace.to_owned(), frontier),
                    Err(error) => {
                        pgrx::ereport!(
                            ERROR,
                            PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                            format!("the frontier of the workspace log of \"{workspace}\" is damaged: {error}"),
                            "No event of any workspace is sealed until the frontier is repaired. audit.verify lists all damage."
                        );
                    }
                }
            })
            .collect();
    }

    /// Opens the log of a workspace that [`Writer::find`] has looked up, to add leaves to it. Begins a new log if there
    /// is none. Must be called at most once for each look-up, which sees only flushed rows.
    pub fn open(&mut self, workspace: &str) -> Log {
        let frontier = self.found.remove(workspace).unwrap_or_else(|| {
            let root = values::varlena(&[&Frontier::new().root()]);
            self.begin.run(&[Some(Text::new(workspace).datum()), Some(root)]);
            Frontier::new()
        });
        Log { workspace: workspace.to_owned(), frontier, levels: Vec::new() }
    }

    /// Writes all rows that wait.
    pub fn flush(&mut self) {
        let tiles = std::mem::take(&mut self.tiles);
        if !tiles.firsts.is_empty() {
            self.insert_tiles.run(&[
                Some(text_array(tiles.workspaces.iter())),
                Some(values::bigint_array(&tiles.levels)),
                Some(values::bigint_array(&tiles.firsts)),
                Some(values::bytea_array(tiles.hashes.iter().map(Vec::as_slice))),
                Some(values::bigint_array(&tiles.ids)),
                Some(values::bigint_array(&tiles.starts)),
                Some(values::bigint_array(&tiles.ends)),
                Some(values::bigint_array(&tiles.least)),
                Some(values::bigint_array(&tiles.greatest)),
            ]);
        }
        let heads = std::mem::take(&mut self.heads);
        if !heads.is_empty() {
            let sizes: Vec<i64> = heads.iter().map(|head| head.frontier.size() as i64).collect();
            let roots: Vec<Hash> = heads.iter().map(|head| head.frontier.root()).collect();
            self.store.run(&[
                Some(text_array(heads.iter().map(|head| &head.workspace))),
                Some(values::bigint_array(&sizes)),
                Some(values::bytea_array(roots.iter().map(Hash::as_slice))),
                Some(values::bytea_array(heads.iter().map(|head| head.frontier.nodes().as_flattened()))),
            ]);
        }
    }
}

/// The log of one workspace, with the hashes that are not written yet.
pub struct Log {
    workspace: String,
    frontier: Frontier,
    levels: Vec<Strip>,
}

/// Hashes of one level that belong to the same tile and are not written yet.
#[derive(Default)]
struct Strip {
    first: u64,
    hashes: Vec<u8>,
    ids: Vec<i64>,
}

impl Log {
    /// Adds a leaf. The caller must free the memory that PostgreSQL allocates meanwhile.
    pub fn push(&mut self, id: i64, leaf: Hash, writer: &mut Writer) {
        let Self { frontier, levels, .. } = self;
        let mut complete = 0;
        frontier.push(leaf, |level, index, hash| {
            if level % TILE_HEIGHT != 0 {
                return;
            }
            let level = usize::from(level / TILE_HEIGHT);
            if levels.len() <= level {
                levels.resize_with(level + 1, Strip::default);
            }
            let strip = &mut levels[level];
            if strip.hashes.is_empty() {
                strip.first = index;
            }
            strip.hashes.extend_from_slice(hash);
            if level == 0 {
                strip.ids.push(id);
            }
            if index % TILE_WIDTH == TILE_WIDTH - 1 {
                complete = level + 1;
            }
        });
        for level in 0..complete {
            self.write(level, writer);
        }
    }

    /// Passes the remaining hashes and the new head to the writer.
    pub fn finish(mut self, writer: &mut Writer) {
        for level in 0..self.levels.len() {
            self.write(level, writer);
        }
        writer.heads.push(Head { workspace: self.workspace, frontier: self.frontier });
        if writer.heads.len() >= MOST_HEADS {
            writer.flush();
        }
    }

    fn write(&mut self, level: usize, writer: &mut Writer) {
        let strip = std::mem::take(&mut self.levels[level]);
        if strip.hashes.is_empty() {
            return;
        }
        let beyond = strip.first + (strip.hashes.len() / 32) as u64;
        if beyond.is_multiple_of(TILE_WIDTH) && !strip.first.is_multiple_of(TILE_WIDTH) {
            // Earlier passes wrote the first hashes of this tile.
            writer.complete_tile.run(&[
                Some(Text::new(&self.workspace).datum()),
                Some(Datum::from(level as i64)),
                Some(Datum::from(strip.first as i64)),
                Some(values::varlena(&[&strip.hashes])),
                (level == 0).then(|| values::bigint_array(&strip.ids)),
                strip.ids.iter().min().map(|&id| Datum::from(id)),
                strip.ids.iter().max().map(|&id| Datum::from(id)),
            ]);
            return;
        }
        let tiles = &mut writer.tiles;
        tiles.workspaces.push(self.workspace.clone());
        tiles.levels.push(level as i64);
        tiles.firsts.push(strip.first as i64);
        tiles.bytes += strip.hashes.len();
        tiles.hashes.push(strip.hashes);
        tiles.starts.push(tiles.ids.len() as i64 + 1);
        tiles.least.push(strip.ids.iter().copied().min().unwrap_or_default());
        tiles.greatest.push(strip.ids.iter().copied().max().unwrap_or_default());
        tiles.ids.extend(strip.ids);
        tiles.ends.push(tiles.ids.len() as i64);
        if tiles.bytes >= MOST_BYTES {
            writer.flush();
        }
    }
}

fn text_array<'a>(all: impl Iterator<Item = &'a String>) -> Datum {
    values::text_array(&all.map(|text| Text::new(text)).collect::<Vec<_>>())
}

const FIND: &std::ffi::CStr =
    c"SELECT l.workspace, l.size, l.frontier FROM audit.log l WHERE l.workspace OPERATOR(pg_catalog.=) ANY ($1)";

const BEGIN: &std::ffi::CStr = c"INSERT INTO audit.log (workspace, log_id, size, root, frontier, sealed_at) \
     VALUES ($1, pg_catalog.uuid_send(pg_catalog.gen_random_uuid()), 0, $2, '', pg_catalog.clock_timestamp())";

// Only level 0 has ids.
const INSERT_TILES: &std::ffi::CStr =
    c"INSERT INTO audit.tile (workspace, level, first, hashes, ids, least_id, greatest_id) \
     SELECT t.workspace, t.level, t.first, t.hashes, \
            CASE WHEN t.level OPERATOR(pg_catalog.=) 0 THEN ($5)[t.start : t.ends] END, \
            CASE WHEN t.level OPERATOR(pg_catalog.=) 0 THEN t.least END, \
            CASE WHEN t.level OPERATOR(pg_catalog.=) 0 THEN t.greatest END \
     FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($6), \
                     pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9)) \
          t (workspace, level, first, hashes, start, ends, least, greatest)";

const COMPLETE_TILE: &std::ffi::CStr = c"WITH begun AS (\
       DELETE FROM audit.tile t \
       WHERE t.workspace OPERATOR(pg_catalog.=) $1 AND t.level OPERATOR(pg_catalog.=) $2 \
         AND t.first OPERATOR(pg_catalog.>=) (($3 OPERATOR(pg_catalog./) 256) OPERATOR(pg_catalog.*) 256) \
         AND t.first OPERATOR(pg_catalog.<) $3 \
       RETURNING t.first, t.hashes, t.ids, t.least_id, t.greatest_id) \
     INSERT INTO audit.tile (workspace, level, first, hashes, ids, least_id, greatest_id) \
     SELECT $1, $2, ($3 OPERATOR(pg_catalog./) 256) OPERATOR(pg_catalog.*) 256, \
            pg_catalog.string_agg(b.hashes, '' ORDER BY b.first) OPERATOR(pg_catalog.||) $4, \
            (SELECT pg_catalog.array_agg(i.id ORDER BY o.first, i.place) \
             FROM begun o, pg_catalog.unnest(o.ids) WITH ORDINALITY i (id, place)) OPERATOR(pg_catalog.||) $5, \
            LEAST(pg_catalog.min(b.least_id), $6), GREATEST(pg_catalog.max(b.greatest_id), $7) \
     FROM begun b";

const STORE: &std::ffi::CStr = c"UPDATE audit.log l \
     SET size = h.size, root = h.root, frontier = h.frontier, sealed_at = pg_catalog.clock_timestamp() \
     FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) h (workspace, size, root, frontier) \
     WHERE l.workspace OPERATOR(pg_catalog.=) h.workspace";
