//! Roots of workspace logs, and the proofs of RFC 6962, sections 2.1.1 and 2.1.2, made from the tiles.

use std::collections::HashMap;
use std::ffi::CStr;
use std::ops::Range;

use audit_proof::tree::{self, Frontier, Hash, Nodes, node_hash};
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::log::tree::{TILE_HEIGHT, TILE_WIDTH};
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::spi::{self, Session, Statement};
use crate::pg::values::{self, Text};

sql_function!(audit_subtree_root, pg_finfo_audit_subtree_root, subtree_root);
sql_function!(audit_frontier_root, pg_finfo_audit_frontier_root, frontier_root);
sql_function!(audit_root_at, pg_finfo_audit_root_at, root_at);
sql_function!(audit_inclusion_proof, pg_finfo_audit_inclusion_proof, inclusion_proof);
sql_function!(audit_consistency_proof, pg_finfo_audit_consistency_proof, consistency_proof);
sql_function!(audit_subset_proof, pg_finfo_audit_subset_proof, subset_proof);

/// Implements `audit_internal.subtree_root(hashes)`: returns the root of the perfect subtree over the hashes. Returns
/// NULL if their number is not a power of two.
fn subtree_root(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let Some(hashes) = arguments.datum(0) else { return Ok(None) };
    // SAFETY: the argument is declared as bytea.
    let (bytes, _) = unsafe { values::varlena_bytes(hashes) };
    let (hashes, rest) = bytes.as_chunks::<32>();
    let is_perfect = rest.is_empty() && hashes.len().is_power_of_two();
    Ok(is_perfect.then(|| values::varlena(&[&fold(hashes.to_vec())])))
}

/// Implements `audit_internal.frontier_root(size, frontier)`: returns the root of the tree with this frontier. Returns
/// NULL if no tree of that size has it.
fn frontier_root(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let (Some(size), Some(frontier)) = (arguments.datum(0), arguments.datum(1)) else { return Ok(None) };
    // SAFETY: the argument is declared as bytea.
    let (bytes, _) = unsafe { values::varlena_bytes(frontier) };
    let (nodes, rest) = bytes.as_chunks::<32>();
    let frontier = Frontier::from_nodes(size.value() as u64, nodes.to_vec()).ok().filter(|_| rest.is_empty());
    Ok(frontier.map(|frontier| values::varlena(&[&frontier.root()])))
}

/// Implements `audit.root_at(workspace, size)`: returns the root of the workspace log at this size.
fn root_at(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    prove(arguments, 1, root, |[size], nodes| {
        if size == 0 {
            return Ok(vec![tree::empty_root()]);
        }
        let mut perfect = Vec::new();
        let mut first = 0;
        for level in (0..64).rev().filter(|level| size >> level & 1 == 1) {
            perfect.push(nodes.node(level, first >> level)?);
            first += 1 << level;
        }
        let frontier = Frontier::from_nodes(size, perfect).expect("one for each bit that is set");
        Ok(vec![frontier.root()])
    })
}

/// Implements `audit.inclusion_proof(workspace, leaf, size)`: returns the hashes of the proof.
fn inclusion_proof(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    prove(arguments, 2, hashes, |[leaf, size], nodes| {
        if leaf >= size {
            return Err(out_of_range("leaf", format!("{leaf} is not in a tree of {size} leaves")));
        }
        tree::inclusion_proof(leaf, size, nodes)
    })
}

/// Implements `audit.consistency_proof(workspace, old_size, new_size)`: returns the hashes of the proof.
fn consistency_proof(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    prove(arguments, 2, hashes, |[old, new], nodes| {
        if old > new {
            return Err(out_of_range("old_size", format!("{old} is greater than new_size {new}")));
        }
        // The proof is empty if the old size is 0 or the same.
        if old == 0 || old == new { Ok(Vec::new()) } else { tree::consistency_proof(old, new, nodes) }
    })
}

/// Implements `audit.subset_proof(workspace, size, firsts, beyonds)`: returns the hashes of the proof.
fn subset_proof(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let bounds = |index| {
        // SAFETY: the argument is declared as bigint[].
        arguments.datum(index).and_then(|datum| unsafe { values::bigint_array_elements(datum) })
    };
    let (Some(firsts), Some(beyonds)) = (bounds(2), bounds(3)) else { return Ok(None) };
    prove(arguments, 1, hashes, |[size], nodes| {
        let ranges: Vec<Range<u64>> =
            firsts.iter().zip(&beyonds).map(|(&first, &beyond)| first as u64..beyond as u64).collect();
        let mut end = 0;
        let ascend = ranges.iter().enumerate().all(|(i, range)| {
            let follows = (i == 0 || range.start >= end) && range.start < range.end && range.end <= size;
            end = range.end;
            follows
        });
        if firsts.len() != beyonds.len() || ranges.is_empty() || !ascend {
            return Err(out_of_range("firsts", format!("and beyonds are not ascending ranges of leaves below {size}")));
        }
        tree::subset_proof(size, &ranges, nodes)
    })
}

/// Reads the workspace and the `N` numbers after it, and makes a proof. The number at `size_at` is a size, which the
/// workspace log must have reached. `made` makes the result after the session has ended, because the end of the session
/// frees earlier allocations.
fn prove<const N: usize>(
    arguments: &Arguments,
    size_at: usize,
    made: fn(&[Hash]) -> Datum,
    work: impl FnOnce([u64; N], &mut TileNodes<'_>) -> Result<Vec<Hash>, Error>,
) -> Result<Option<Datum>, Error> {
    let Some(workspace) = arguments.text(0) else { return Ok(None) };
    let mut numbers = [0; N];
    for (i, number) in numbers.iter_mut().enumerate() {
        let Some(datum) = arguments.datum(1 + i) else { return Ok(None) };
        *number = u64::try_from(datum.value() as i64)
            .map_err(|_| out_of_range("a leaf index or size", format!("is negative: {}", datum.value() as i64)))?;
    }
    let size = numbers[size_at - 1];
    let result = spi::connect(|session| {
        let found = session.prepare(SIZE, &[pg_sys::TEXTOID]).run(&[Some(workspace.datum())]);
        let reached = if found.len() == 0 { 0 } else { found.datum(0, 0).map_or(0, |size| size.value() as u64) };
        if size > reached {
            return Err(out_of_range(
                "size",
                format!("{size} is greater than {reached}, the size of the workspace log"),
            ));
        }
        let mut nodes = TileNodes {
            tile: session.prepare(TILE, &[pg_sys::TEXTOID, pg_sys::INT2OID, pg_sys::INT8OID]),
            workspace: workspace.value(),
            tiles: HashMap::new(),
            _session: session,
        };
        work(numbers, &mut nodes)
    })?;
    result.map(|hashes| Some(made(&hashes)))
}

/// The hashes in the tiles of a workspace log.
struct TileNodes<'a> {
    tile: Statement,
    workspace: &'a str,
    /// The tile that was last read, for each level. Proofs traverse the tree from left to right.
    tiles: HashMap<u8, (u64, Vec<Hash>)>,
    _session: &'a Session,
}

impl Nodes for TileNodes<'_> {
    type Error = Error;

    fn node(&mut self, level: u8, index: u64) -> Result<Hash, Error> {
        let (level, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let first = index << height;
        let tile = first / TILE_WIDTH;
        let start = (first % TILE_WIDTH) as usize;
        if self.tiles.get(&level).is_none_or(|(last, _)| *last != tile) {
            let hashes = self.read(level, tile);
            self.tiles.insert(level, (tile, hashes));
        }
        let hashes = self.tiles[&level].1.get(start..start + (1 << height));
        let hashes = hashes.ok_or_else(|| Error::DamagedLog {
            problem: format!(
                "tile {tile} of level {level} of the workspace log of \"{}\" lacks hashes",
                self.workspace
            ),
        })?;
        Ok(fold(hashes.to_vec()))
    }
}

impl TileNodes<'_> {
    fn read(&self, level: u8, tile: u64) -> Vec<Hash> {
        let rows = self.tile.run(&[
            Some(Text::new(self.workspace).datum()),
            Some(Datum::from(i16::from(level))),
            Some(Datum::from((tile * TILE_WIDTH) as i64)),
        ]);
        let bytes = (rows.len() == 1).then(|| rows.datum(0, 0)).flatten();
        // SAFETY: the datum is a bytea of a row that is still held.
        bytes.map_or_else(Vec::new, |bytes| unsafe { values::varlena_bytes(bytes).0.as_chunks::<32>().0.to_vec() })
    }
}

/// Returns the root over the hashes, whose number must be a power of two.
fn fold(mut hashes: Vec<Hash>) -> Hash {
    while hashes.len() > 1 {
        hashes = hashes.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    hashes[0]
}

fn root(hashes: &[Hash]) -> Datum {
    values::varlena(&[&hashes[0]])
}

fn hashes(proof: &[Hash]) -> Datum {
    values::bytea_array(proof.iter().map(|hash| &hash[..]))
}

fn out_of_range(name: &'static str, problem: String) -> Error {
    Error::InvalidValue {
        name,
        problem,
        hint: "Call audit.log_head(workspace) to see the number of leaves of the workspace log.",
    }
}

const SIZE: &CStr = c"SELECT l.size FROM audit.log l WHERE l.workspace OPERATOR(pg_catalog.=) $1";

const TILE: &CStr = c"SELECT pg_catalog.string_agg(t.hashes, '' ORDER BY t.first) FROM audit.tile t \
     WHERE t.workspace OPERATOR(pg_catalog.=) $1 AND t.level OPERATOR(pg_catalog.=) $2 \
       AND t.first OPERATOR(pg_catalog.>=) $3 AND t.first OPERATOR(pg_catalog.<) ($3 OPERATOR(pg_catalog.+) 256)";
