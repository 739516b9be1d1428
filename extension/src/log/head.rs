//! The digest of a head, as the system log records it.

use audit_proof::head::Head;
use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::{self, Text};

sql_function!(audit_head_digest, pg_finfo_audit_head_digest, head_digest);

/// Implements `audit_internal.head_digest(workspace, log_id, size, root)`: returns the digest of the head in base64.
/// Returns NULL if no head has these values.
fn head_digest(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let digest = || {
        // SAFETY: the argument is declared as bytea.
        let bytes = |index| arguments.datum(index).map(|datum| unsafe { values::varlena_bytes(datum) }.0);
        let head = Head {
            workspace: arguments.text(0)?.value(),
            log_id: bytes(1)?.try_into().ok()?,
            size: u64::try_from(arguments.datum(2)?.value() as i64).ok()?,
            root: bytes(3)?.try_into().ok()?,
        };
        Some(Text::new(&head.digest_text()).datum())
    };
    Ok(digest())
}
