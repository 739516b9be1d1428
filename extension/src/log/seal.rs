//! The performance-critical part of sealing, which adds committed events to their workspace logs. `audit.seal` in
//! sql/api/seal.sql decides which events are new.

use std::collections::HashMap;
use std::ffi::{CStr, CString};

use audit_proof::Batch;
use audit_proof::tree::Hash;
use pgrx::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::columns::{COUNT, Column, select_list};
use crate::guard::Pass;
use crate::log::leaf;
use crate::log::tree::Writer;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::spi::{self, Columns, Cursor, Rows, Session};
use crate::pg::values::{self, Text};

sql_function!(audit_seal_events, pg_finfo_audit_seal_events, seal_events);
sql_function!(audit_seal_unknown, pg_finfo_audit_seal_unknown, seal_unknown);
sql_function!(audit_next_transaction_id, pg_finfo_audit_next_transaction_id, next_transaction_id);

/// The number of rows that are fetched, and of workspace logs that are opened, at a time.
const FETCH: usize = 1024;

/// The maximum number of leaves that are read before they are added to their logs. It bounds the memory, at about 50
/// bytes for each leaf.
const MOST_LEAVES: usize = 250_000;

/// Implements `audit_internal.seal_events(since, below, in_progress, ids_after, snapshot)`: seals the new events, and
/// returns their number.
fn seal_events(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let parameters: Vec<Option<Datum>> = (0..5).map(|i| arguments.datum(i)).collect();
    let types = [pg_sys::XID8OID, pg_sys::XID8OID, pg_sys::XID8ARRAYOID, pg_sys::INT8OID, pg_sys::PG_SNAPSHOTOID];
    spi::connect(|session| {
        let mut cursor = session.prepare(&with_columns(NEW_EVENTS), &types).open(&parameters);
        let (count, _) = seal(session, &mut cursor);
        Some(Datum::from(count))
    })
}

/// Implements `audit_internal.seal_unknown()`: seals the committed events that no tile contains, except those of its
/// own transaction. Returns their number. Also extends the snapshot of the sealer by the one that the query used.
fn seal_unknown(_: &Arguments) -> Result<Option<Datum>, Error> {
    spi::connect(|session| {
        let mut cursor = session.prepare(&with_columns(UNKNOWN_EVENTS), &[]).open(&[]);
        let (count, snapshot) = seal(session, &mut cursor);
        if let Some(snapshot) = snapshot {
            session.prepare(SET_SEALED, &[pg_sys::PG_SNAPSHOTOID]).run(&[Some(snapshot)]);
        }
        Some(Datum::from(count))
    })
}

/// Implements `audit_internal.next_transaction_id()`: returns the id that the next transaction or subtransaction gets.
fn next_transaction_id(_: &Arguments) -> Result<Option<Datum>, Error> {
    // SAFETY: reads shared memory under its lock, which every backend may do.
    let next = unsafe { pg_sys::ReadNextFullTransactionId() };
    Ok(Some(Datum::from(next.value)))
}

/// Adds the events of the rows to their workspace logs. The rows have [`COUNT`] columns, and may have a snapshot after
/// them. Returns the number of events, and the snapshot of the first row.
fn seal(session: &Session, cursor: &mut Cursor) -> (i64, Option<Datum>) {
    let _pass = Pass::begin();
    let mut writer = Writer::new(session);
    let mut memory = PgMemoryContexts::new("audit_log seal");
    let mut leaves = Leaves::default();
    let mut count = 0;
    let mut snapshot = None;
    loop {
        let rows = cursor.fetch(FETCH);
        if rows.len() == 0 {
            break;
        }
        if rows.width() > COUNT && snapshot.is_none() {
            // SAFETY: a snapshot is a varlena. The copy is in the memory of the session, which outlives this call.
            snapshot = rows.datum(0, COUNT).map(|datum| unsafe { values::varlena(&[values::varlena_bytes(datum).0]) });
        }
        // SAFETY: memory that is allocated inside is not used later. The leaves are in Rust's memory.
        unsafe {
            memory.switch_to(|_| leaves.read(&rows));
            memory.reset();
        }
        if leaves.count >= MOST_LEAVES {
            count += leaves.write(&mut writer, &mut memory);
        }
        pgrx::check_for_interrupts!();
    }
    count += leaves.write(&mut writer, &mut memory);
    if leaves.without_line > 0 {
        pgrx::warning!(
            "audit log: {} rows were not sealed, because audit.append cannot have written them",
            leaves.without_line
        );
    }
    (count, snapshot)
}

/// Leaves that are not in their workspace logs yet.
#[derive(Default)]
struct Leaves {
    /// The leaves of each workspace, each with the id of its event.
    logs: HashMap<String, Vec<(i64, Hash)>>,
    count: usize,
    batch: Batch,
    without_line: usize,
}

impl Leaves {
    fn read(&mut self, rows: &Rows) {
        let mut columns = Columns::default();
        let mut unhashed = Vec::with_capacity(rows.len());
        for row in 0..rows.len() {
            rows.columns(row, &mut columns);
            if leaf::push(&mut self.batch, |column| columns.datum(column as usize)) {
                let [id, workspace] = [Column::Id, Column::Workspace]
                    .map(|column| columns.datum(column as usize).expect("the batch has taken it"));
                // SAFETY: the datum is a text of a row that the caller holds.
                let workspace = unsafe { Text::from_datum(workspace) };
                unhashed.push((id.value() as i64, workspace.value()));
            } else {
                self.without_line += 1;
            }
            if self.batch.is_full() {
                self.hash(&mut unhashed);
            }
        }
        self.hash(&mut unhashed);
    }

    fn hash(&mut self, unhashed: &mut Vec<(i64, &str)>) {
        for ((id, workspace), leaf) in unhashed.drain(..).zip(self.batch.finish()) {
            match self.logs.get_mut(workspace) {
                Some(log) => log.push((id, leaf)),
                None => drop(self.logs.insert(workspace.to_owned(), vec![(id, leaf)])),
            }
            self.count += 1;
        }
    }

    /// Adds the leaves to their workspace logs, in the order of the ids. Returns their number.
    fn write(&mut self, writer: &mut Writer, memory: &mut PgMemoryContexts) -> i64 {
        let mut logs: Vec<_> = self.logs.drain().collect();
        logs.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for logs in logs.chunks_mut(FETCH) {
            // SAFETY: memory that is allocated inside is not used later. The logs keep their data in Rust's memory.
            unsafe {
                memory.switch_to(|_| {
                    writer.find(logs.iter().map(|(workspace, _)| workspace));
                    for (workspace, leaves) in logs {
                        leaves.sort_unstable();
                        let mut log = writer.open(workspace);
                        leaves.iter().for_each(|&(id, leaf)| log.push(id, leaf, writer));
                        log.finish(writer);
                    }
                    writer.flush();
                });
                memory.reset();
            }
        }
        std::mem::take(&mut self.count) as i64
    }
}

fn with_columns(query: &str) -> CString {
    CString::new(query.replace("{columns}", &select_list("e."))).expect("no query holds a zero byte")
}

// The query has two parts, so that the planner uses the index on xid for each. A restored event may have the id of a
// transaction that was in progress here, and may already have a leaf.
const NEW_EVENTS: &str = "SELECT {columns} FROM audit.event e \
     WHERE e.xid OPERATOR(pg_catalog.>=) $1 AND e.xid OPERATOR(pg_catalog.<) $2 AND e.id OPERATOR(pg_catalog.>) $4 \
       AND pg_catalog.pg_visible_in_snapshot(e.xid, $5) \
     UNION ALL \
     SELECT {columns} FROM audit.event e \
     WHERE e.xid OPERATOR(pg_catalog.=) ANY ($3) AND e.xid OPERATOR(pg_catalog.<) $1 AND pg_catalog.pg_visible_in_snapshot(e.xid, $5) \
       AND (e.id OPERATOR(pg_catalog.>) $4 \
            OR NOT EXISTS (SELECT FROM audit.tile t \
                           WHERE t.workspace OPERATOR(pg_catalog.=) e.workspace AND t.level OPERATOR(pg_catalog.=) 0 \
                             AND t.least_id OPERATOR(pg_catalog.<=) e.id AND t.greatest_id OPERATOR(pg_catalog.>=) e.id \
                             AND e.id OPERATOR(pg_catalog.=) ANY (t.ids)))";

const UNKNOWN_EVENTS: &str = "SELECT {columns}, pg_catalog.pg_current_snapshot() FROM audit.event e \
     WHERE e.xid OPERATOR(pg_catalog.<>) pg_catalog.pg_current_xact_id() \
       AND NOT EXISTS (SELECT FROM audit.tile t, pg_catalog.unnest(t.ids) i (id) \
                       WHERE t.level OPERATOR(pg_catalog.=) 0 AND i.id OPERATOR(pg_catalog.=) e.id)";

const SET_SEALED: &CStr = c"UPDATE audit_internal.sealer s \
     SET sealed = audit_internal.with_own_transaction(audit_internal.extend_snapshot($1, pg_catalog.pg_snapshot_xmax(s.sealed)))";
