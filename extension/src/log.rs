//! Writing to the logs: leaves go to the frontier of their log and into tiles, in the layout of C2SP tlog-tiles.
//!
//! A tile under way is several rows of `audit.tile`, one for each pass that added to it; when its last hash comes they become
//! one.

use audit_proof::tree::{Frontier, Hash};
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::spi::{Session, Statement};
use crate::values::{self, Text};

/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// Levels of the tree from one level of tiles to the next.
pub const TILE_HEIGHT: u8 = 8;

/// The statements that write.
pub struct Writer {
    find: Statement,
    insert_tile: Statement,
    complete_tile: Statement,
    store: Statement,
}

impl Writer {
    /// Plans them.
    pub fn new(session: &Session) -> Writer {
        let tile = [
            pg_sys::TEXTOID,
            pg_sys::INT2OID,
            pg_sys::INT8OID,
            pg_sys::BYTEAOID,
            pg_sys::INT8ARRAYOID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
        ];
        let log = [pg_sys::TEXTOID, pg_sys::INT8OID, pg_sys::BYTEAOID, pg_sys::BYTEAOID];
        Writer {
            find: session.prepare(FIND, &[pg_sys::TEXTOID]),
            insert_tile: session.prepare(INSERT_TILE, &tile),
            complete_tile: session.prepare(COMPLETE_TILE, &tile),
            store: session.prepare(STORE, &log),
        }
    }

    /// The log of a workspace, to add to it; a new one where there is none.
    pub fn open(&self, workspace: &str) -> Log<'_> {
        let rows = self.find.run(&[Some(Text::new(workspace).datum())]);
        let frontier = if rows.len() == 0 {
            Frontier::new()
        } else {
            let size = rows.datum(0, 0).expect("size is not NULL").value() as u64;
            let nodes = rows.datum(0, 1).expect("frontier is not NULL");
            // SAFETY: a bytea of a row that lives on.
            let (bytes, _) = unsafe { values::varlena_bytes(nodes) };
            let nodes = bytes.chunks_exact(32).map(|node| node.try_into().expect("32 bytes")).collect();
            Frontier::from_nodes(size, nodes).unwrap_or_else(|error| {
                panic!("the frontier of the log of workspace \"{workspace}\" is damaged: {error}")
            })
        };
        Log { writer: self, workspace: workspace.to_owned(), frontier, levels: Vec::new() }
    }
}

/// The log of one workspace, with what is not written yet.
pub struct Log<'a> {
    writer: &'a Writer,
    workspace: String,
    frontier: Frontier,
    levels: Vec<Strip>,
}

/// Hashes of one level of tiles that belong to the same tile and are not written yet.
#[derive(Default)]
struct Strip {
    first: u64,
    hashes: Vec<u8>,
    ids: Vec<i64>,
}

impl Log<'_> {
    /// Whose log it is.
    pub fn workspace(&self) -> &str {
        &self.workspace
    }

    /// Adds a leaf. What PostgreSQL allocates meanwhile is the caller's to free.
    pub fn push(&mut self, id: i64, leaf: Hash) {
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
            self.write(level);
        }
    }

    /// Writes what is left, and the new head.
    pub fn finish(mut self) {
        for level in 0..self.levels.len() {
            self.write(level);
        }
        self.writer.store.run(&[
            Some(Text::new(&self.workspace).datum()),
            Some(Datum::from(self.frontier.size() as i64)),
            Some(values::varlena(&[&self.frontier.root()])),
            Some(values::varlena(&[self.frontier.nodes().as_flattened()])),
        ]);
    }

    fn write(&mut self, level: usize) {
        let strip = std::mem::take(&mut self.levels[level]);
        if strip.hashes.is_empty() {
            return;
        }
        let beyond = strip.first + (strip.hashes.len() / 32) as u64;
        let completes = beyond.is_multiple_of(TILE_WIDTH) && !strip.first.is_multiple_of(TILE_WIDTH);
        let statement = if completes { &self.writer.complete_tile } else { &self.writer.insert_tile };
        statement.run(&[
            Some(Text::new(&self.workspace).datum()),
            Some(Datum::from(level as i16)),
            Some(Datum::from(strip.first as i64)),
            Some(values::varlena(&[&strip.hashes])),
            (level == 0).then(|| values::bigint_array(&strip.ids)),
            strip.ids.iter().min().map(|&id| Datum::from(id)),
            strip.ids.iter().max().map(|&id| Datum::from(id)),
        ]);
    }
}

const FIND: &std::ffi::CStr = c"SELECT l.size, l.frontier FROM audit.log l WHERE l.workspace OPERATOR(pg_catalog.=) $1";

const INSERT_TILE: &std::ffi::CStr =
    c"INSERT INTO audit.tile (workspace, level, first, hashes, ids, least_id, greatest_id) VALUES ($1, $2, $3, $4, $5, $6, $7)";

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

const STORE: &std::ffi::CStr = c"INSERT INTO audit.log AS l (workspace, log_id, size, root, frontier, sealed_at) \
     VALUES ($1, pg_catalog.uuid_send(pg_catalog.gen_random_uuid()), $2, $3, $4, pg_catalog.clock_timestamp()) \
     ON CONFLICT ON CONSTRAINT log_pkey DO UPDATE \
     SET size = excluded.size, root = excluded.root, frontier = excluded.frontier, sealed_at = excluded.sealed_at";
