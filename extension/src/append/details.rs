//! The details of an event: checked against the catalog, then masked.

use pgrx::pg_sys::Datum;

use crate::append::catalog::Action;
use crate::append::mask::mask;
use crate::pg::error::Error;
use crate::pg::jsonb::Container;
use crate::pg::values;
use crate::settings;

/// The details to store: checked, then masked.
///
/// # Errors
/// `ZA005` for details that the action does not allow, `ZA006` for details that are too large.
pub fn details(given: Option<(Container<'_>, Option<Datum>)>, name: &str, action: &Action) -> Result<Datum, Error> {
    let empty = 0x2000_0000_u32.to_ne_bytes();
    let (container, datum) = given.unwrap_or((Container::new(&empty), None));
    let invalid = |problem: String| Error::InvalidDetails { action: name.into(), problem };
    if !container.is_object() {
        return Err(invalid("are not a JSON object".into()));
    }
    let bytes = container.bytes().len();
    let limit = settings::max_details_size();
    // What the log itself tells, of a thousand workspaces perhaps, must not fail on what applications are allowed.
    if bytes > limit && action.category != "audit" {
        return Err(Error::DetailsTooLarge { bytes, limit });
    }
    // What is sealed is the text of the details: nobody must be able to append what takes gigabytes to write.
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
    // SAFETY: datum is a jsonb, given or made above.
    let (aligned, datum) = unsafe { values::jsonb_bytes(datum) };
    Ok(mask(Container::new(aligned), datum))
}
