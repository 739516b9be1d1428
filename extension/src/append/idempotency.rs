//! Idempotency keys. Within 48 hours, a repeated key in a workspace refers to the first event stored under it.

use std::cell::OnceCell;

use pgrx::prelude::*;
use pgrx::spi::OwnedPreparedStatement;

use crate::guard::caller::Frame;
use crate::pg::error::Error;
use crate::pg::owner::as_owner;

/// The result of a claim.
pub enum Claim {
    /// The key was free, or older than 48 hours. The caller must store the event.
    Taken,
    /// The key already refers to this event. The caller must not store another.
    Stands(i64),
}

/// Claims the key for the event `id`. Waits for an open transaction that has claimed the same key.
///
/// # Errors
/// `42P01` if the tables of the extension do not exist.
pub fn claim(workspace: &str, key: &str, id: i64) -> Result<Claim, Error> {
    as_owner(|| {
        let _frame = Frame::begin();
        Spi::connect_mut(|client| {
            // maintain() may remove the key between the two statements. The next round then claims it.
            loop {
                let taken = STATEMENTS.with(|statements| {
                    let statement = statements.take.get_or_init(|| {
                        let types = [PgBuiltInOids::TEXTOID, PgBuiltInOids::TEXTOID, PgBuiltInOids::INT8OID];
                        let prepared = client.prepare_mut(TAKE, &types.map(PgOid::from));
                        prepared.expect("the statement is well-formed").keep()
                    });
                    let table = client.update(statement, None, &[workspace.into(), key.into(), id.into()]);
                    !table.expect("SPI runs the statement or raises").is_empty()
                });
                if taken {
                    return Claim::Taken;
                }
                let standing = STATEMENTS.with(|statements| {
                    let statement = statements.find.get_or_init(|| {
                        let types = [PgBuiltInOids::TEXTOID, PgBuiltInOids::TEXTOID];
                        let prepared = client.prepare_mut(FIND, &types.map(PgOid::from));
                        prepared.expect("the statement is well-formed").keep()
                    });
                    let table = client.update(statement, None, &[workspace.into(), key.into()]);
                    let table = table.expect("SPI runs the statement or raises");
                    if table.is_empty() { None } else { table.first().get_one::<i64>().expect("a bigint") }
                });
                if let Some(id) = standing {
                    return Claim::Stands(id);
                }
            }
        })
    })
}

const TAKE: &str = "INSERT INTO audit_internal.idempotency_key AS k (workspace, key, event_id, recorded_at) \
     VALUES ($1, $2, $3, pg_catalog.clock_timestamp()) \
     ON CONFLICT (workspace, key) DO UPDATE SET event_id = excluded.event_id, recorded_at = excluded.recorded_at \
     WHERE k.recorded_at OPERATOR(pg_catalog.<) (excluded.recorded_at OPERATOR(pg_catalog.-) interval '48 hours') \
     RETURNING k.event_id";

const FIND: &str = "SELECT k.event_id FROM audit_internal.idempotency_key k \
     WHERE k.workspace OPERATOR(pg_catalog.=) $1 AND k.key OPERATOR(pg_catalog.=) $2";

#[derive(Default)]
struct Statements {
    take: OnceCell<OwnedPreparedStatement>,
    find: OnceCell<OwnedPreparedStatement>,
}

thread_local! {
    static STATEMENTS: Statements = Statements::default();
}
