//! The JSON Schema of the details of an action.

use std::fmt::Write as _;

use jsonschema::{PatternOptions, Validator};
use pgrx::pg_sys::Datum;
use serde_json::Value;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::{self, Text};

/// The maximum number of problems that an error names.
const PROBLEMS: usize = 3;

sql_function!(audit_schema_error, pg_finfo_audit_schema_error, schema_error);

/// Implements `audit_internal.schema_error(jsonb)`: returns the error in a JSON Schema, or NULL if it is valid.
fn schema_error(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let Some(datum) = arguments.datum(0) else {
        return Ok(None);
    };
    let problem = Schema::compile(&json_text(datum)).err();
    Ok(problem.map(|problem| Text::new(&problem).datum()))
}

/// A compiled schema.
pub struct Schema(Validator);

impl Schema {
    /// Compiles a schema. The error describes the problem. References are not fetched, and patterns run in linear time.
    pub fn compile(text: &str) -> Result<Schema, String> {
        let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .build(&schema)
            .map(Schema)
            .map_err(|error| error.to_string())
    }

    /// Checks the details. The error names up to three places that do not match the schema. It does not show their
    /// values, which may be secret.
    pub fn check(&self, details: Datum) -> Result<(), String> {
        let details: Value = serde_json::from_str(&json_text(details))
            .map_err(|error| format!("cannot be checked against its schema: {error}"))?;
        let mut problems = String::new();
        for error in self.0.iter_errors(&details).take(PROBLEMS) {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/".to_owned() } else { place };
            let separator = if problems.is_empty() { "" } else { "; " };
            let _ = write!(problems, "{separator}{place}: {}", error.masked());
        }
        if problems.is_empty() { Ok(()) } else { Err(format!("do not match its schema: {problems}")) }
    }
}

fn json_text(datum: Datum) -> String {
    // SAFETY: the callers pass a non-null jsonb. JsonbToCString returns a NUL-terminated string in UTF-8.
    unsafe {
        let (bytes, _) = values::jsonb_bytes(datum);
        let text =
            pgrx::pg_sys::JsonbToCString(std::ptr::null_mut(), bytes.as_ptr().cast_mut().cast(), bytes.len() as i32);
        std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}
