//! The details of an event: check and masking.

use pgrx::pg_sys::Datum;

use crate::append::catalog::Action;
use crate::append::mask::{Masked, mask};
use crate::pg::error::Error;
use crate::pg::jsonb::Container;
use crate::pg::values;
use crate::settings;

/// Checks the details, masks them, and returns what to store.
///
/// # Errors
/// `ZA005` for details that the action does not allow, `ZA006` for details that are too large.
pub fn details(given: Option<(Container<'_>, Option<Datum>)>, name: &str, action: &Action) -> Result<Masked, Error> {
    let empty = 0x2000_0000_u32.to_ne_bytes();
    let (container, datum) = given.unwrap_or((Container::new(&empty), None));
    let invalid = |problem: String| Error::InvalidDetails { action: name.into(), problem };
    if !container.is_object() {
        return Err(invalid("are not a JSON object".into()));
    }
    let bytes = container.bytes().len();
    let limit = settings::max_details_size();
    // Events of the audit log itself may be about a thousand workspaces. They must not fail on a limit for
    // applications.
    if bytes > limit && action.category != "audit" {
        return Err(Error::DetailsTooLarge { bytes, limit });
    }
    // Sealing hashes the text of the details. Nobody may append numbers that take gigabytes as text.
    let digits = container.digits();
    if digits > limit {
        return Err(Error::DetailsTooLarge { bytes: digits, limit });
    }
    for required in &action.required_keys {
        if !container.pairs().any(|(key, _)| key == required) {
            return Err(invalid(format!("lack the key \"{required}\"")));
        }
    }
    let datum = datum.unwrap_or_else(|| values::varlena(&[container.bytes()]));
    if let Some(schema) = &action.schema {
        schema.check(datum).map_err(invalid)?;
    }
    // SAFETY: the datum is a jsonb that was given or made above.
    let (aligned, datum) = unsafe { values::jsonb_bytes(datum) };
    Ok(mask(Container::new(aligned), datum))
}
