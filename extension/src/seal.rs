//! The hot part of sealing: committed events that no log holds yet go to their logs. Which they are, and what was sealed
//! before, is the business of `audit.seal` in sql/seal.sql.

use std::ffi::CStr;

use pgrx::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::edge::{Arguments, sql_function};
use crate::error::Error;
use crate::guard::Pass;
use crate::log::{Log, Writer};
use crate::spi::{self, Cursor, Session};
use crate::values::{self, Text};

sql_function!(audit_seal_events, pg_finfo_audit_seal_events, seal_events);
sql_function!(audit_seal_unknown, pg_finfo_audit_seal_unknown, seal_unknown);
sql_function!(audit_next_transaction_id, pg_finfo_audit_next_transaction_id, next_transaction_id);

/// Rows fetched at a time.
const FETCH: usize = 1000;

/// `audit.seal_events(since, below, in_progress, ids_after, snapshot)`: how many were sealed.
fn seal_events(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let parameters: Vec<Option<Datum>> = (0..5).map(|i| arguments.datum(i)).collect();
    let types = [pg_sys::XID8OID, pg_sys::XID8OID, pg_sys::XID8ARRAYOID, pg_sys::INT8OID, pg_sys::PG_SNAPSHOTOID];
    spi::connect(|session| {
        let mut cursor = session.prepare(NEW_EVENTS, &types).open(&parameters);
        let (count, _) = seal(session, &mut cursor);
        Some(Datum::from(count))
    })
}

/// `audit.seal_unknown()`: seals what others have committed and no tile names; the snapshot that it went by becomes the
/// sealer's, as far as that did not reach further. How many were sealed.
fn seal_unknown(_: &Arguments) -> Result<Option<Datum>, Error> {
    spi::connect(|session| {
        let mut cursor = session.prepare(UNKNOWN_EVENTS, &[]).open(&[]);
        let (count, snapshot) = seal(session, &mut cursor);
        if let Some(snapshot) = snapshot {
            session.prepare(SET_SEALED, &[pg_sys::PG_SNAPSHOTOID]).run(&[Some(snapshot)]);
        }
        Some(Datum::from(count))
    })
}

/// `audit.next_transaction_id()`: what the next transaction or subtransaction gets.
fn next_transaction_id(_: &Arguments) -> Result<Option<Datum>, Error> {
    // SAFETY: reads shared memory under its lock; every backend may.
    let next = unsafe { pg_sys::ReadNextFullTransactionId() };
    Ok(Some(Datum::from(next.value)))
}

/// Takes rows of workspace, id, leaf hash and perhaps a snapshot, by workspace and id; how many there were, and the snapshot of
/// the first.
fn seal(session: &Session, cursor: &mut Cursor) -> (i64, Option<Datum>) {
    let _pass = Pass::begin();
    let mut writer = Writer::new(session);
    let mut memory = PgMemoryContexts::new("audit_log seal");
    let mut log: Option<Log> = None;
    let mut count = 0;
    let mut without_line = 0;
    let mut snapshot = None;
    loop {
        let rows = cursor.fetch(FETCH);
        if rows.len() == 0 {
            break;
        }
        if count == 0 && snapshot.is_none() && rows.width() > 3 {
            // SAFETY: a snapshot is a varlena; the copy is of the session, which outlives this.
            snapshot = rows.datum(0, 3).map(|datum| unsafe { values::varlena(&[values::varlena_bytes(datum).0]) });
        }
        // SAFETY: what is allocated inside is of no use after it; the log keeps its own.
        unsafe {
            memory.switch_to(|_| {
                let mut next: Vec<Text<'_>> = (0..rows.len()).map(|row| text(rows.datum(row, 0))).collect();
                next.dedup_by(|b, a| a.value() == b.value());
                next.retain(|next| log.as_ref().is_none_or(|log| log.workspace() != next.value()));
                writer.find(&next);
                for row in 0..rows.len() {
                    let workspace = text(rows.datum(row, 0)).value();
                    let id = rows.datum(row, 1).expect("id is not NULL").value() as i64;
                    let Some(leaf) = rows.datum(row, 2) else {
                        without_line += 1;
                        continue;
                    };
                    let leaf = values::varlena_bytes(leaf).0.try_into().expect("a hash has 32 bytes");
                    if log.as_ref().is_none_or(|log| log.workspace() != workspace)
                        && let Some(log) = log.replace(writer.open(workspace))
                    {
                        log.finish(&mut writer);
                    }
                    let log = log.as_mut().expect("it has been opened");
                    log.push(id, leaf, &mut writer);
                    count += 1;
                }
            });
            memory.reset();
        }
        pgrx::check_for_interrupts!();
    }
    if let Some(log) = log {
        log.finish(&mut writer);
    }
    writer.flush();
    if without_line > 0 {
        pgrx::warning!("audit log: {without_line} rows were not sealed: they are not what audit.append writes");
    }
    (count, snapshot)
}

fn text<'a>(datum: Option<Datum>) -> Text<'a> {
    // SAFETY: workspace is a text, not NULL, of a row that the caller holds.
    unsafe { Text::from_datum(datum.expect("workspace is not NULL")) }
}

// Two parts, so that the planner takes the index on xid for each. What came with a restore can bear the number of a transaction
// that was in progress here, and have its leaf.
const NEW_EVENTS: &CStr = c"SELECT e.workspace, e.id, audit.leaf_hash(e) FROM audit.event e \
     WHERE e.xid OPERATOR(pg_catalog.>=) $1 AND e.xid OPERATOR(pg_catalog.<) $2 AND e.id OPERATOR(pg_catalog.>) $4 \
       AND pg_catalog.pg_visible_in_snapshot(e.xid, $5) \
     UNION ALL \
     SELECT e.workspace, e.id, audit.leaf_hash(e) FROM audit.event e \
     WHERE e.xid OPERATOR(pg_catalog.=) ANY ($3) AND e.xid OPERATOR(pg_catalog.<) $1 AND pg_catalog.pg_visible_in_snapshot(e.xid, $5) \
       AND (e.id OPERATOR(pg_catalog.>) $4 \
            OR NOT EXISTS (SELECT FROM audit.tile t \
                           WHERE t.workspace OPERATOR(pg_catalog.=) e.workspace AND t.level OPERATOR(pg_catalog.=) 0 \
                             AND t.least_id OPERATOR(pg_catalog.<=) e.id AND t.greatest_id OPERATOR(pg_catalog.>=) e.id \
                             AND e.id OPERATOR(pg_catalog.=) ANY (t.ids))) \
     ORDER BY 1, 2";

const UNKNOWN_EVENTS: &CStr =
    c"SELECT e.workspace, e.id, audit.leaf_hash(e), pg_catalog.pg_current_snapshot() FROM audit.event e \
     WHERE e.xid OPERATOR(pg_catalog.<>) pg_catalog.pg_current_xact_id() \
       AND NOT EXISTS (SELECT FROM audit.tile t, pg_catalog.unnest(t.ids) i (id) \
                       WHERE t.level OPERATOR(pg_catalog.=) 0 AND i.id OPERATOR(pg_catalog.=) e.id) \
     ORDER BY e.workspace, e.id";

const SET_SEALED: &CStr = c"UPDATE audit.sealer s \
     SET sealed = audit.with_own_transaction(audit.extend_snapshot($1, pg_catalog.pg_snapshot_xmax(s.sealed)))";
