//! Conversion of PostgreSQL's errors. Only the texts of the extension's own errors reach the client.

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::error::{DbError, SqlState};

use super::api_error::ApiError;
use super::code::Code;
use super::connection::is_io;

impl From<tokio_postgres::Error> for ApiError {
    fn from(error: tokio_postgres::Error) -> Self {
        from_postgres(error)
    }
}

impl From<PoolError> for ApiError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => from_postgres(error),
            PoolError::PostCreateHook(HookError::Message(why)) => ApiError::new(Code::DatabaseUnavailable, why),
            other => unavailable().with_cause(other),
        }
    }
}

fn unavailable() -> ApiError {
    ApiError::new(Code::DatabaseUnavailable, "the database cannot be reached").with_hint("Try again shortly.")
}

fn from_postgres(error: tokio_postgres::Error) -> ApiError {
    let Some(db) = error.as_db_error() else {
        let api = if error.is_closed() || is_io(&error) {
            unavailable()
        } else {
            ApiError::new(Code::Internal, "the sidecar cannot interpret the answer of the database")
        };
        return api.with_cause(error);
    };
    from_sqlstate(db).with_cause(error)
}

fn from_sqlstate(db: &DbError) -> ApiError {
    let state = db.code();
    if let Some(code) = own(state) {
        let api = ApiError::new(code, db.message());
        return match db.hint().filter(|hint| !speaks_sql(hint)) {
            Some(hint) => api.with_hint(hint),
            None => api,
        };
    }
    match state.code() {
        "22P05" => ApiError::new(
            Code::InvalidValue,
            "a text or JSON value contains the character U+0000, which PostgreSQL cannot store",
        ),
        "22021" => ApiError::new(Code::InvalidValue, "a text contains a zero byte or is not valid UTF-8"),
        "22003" => ApiError::new(Code::InvalidValue, "a number is out of range"),
        "22007" | "22008" => ApiError::new(Code::InvalidValue, "a date or time is not valid"),
        "22P02" => ApiError::new(
            Code::InvalidValue,
            "a value does not match the syntax of its type; in JSON, an escape may denote no character (\\ud800 alone)",
        ),
        "54001" => ApiError::new(Code::InvalidValue, "JSON is nested too deeply"),
        "57014" => ApiError::new(Code::Timeout, "the query exceeded the time limit of the database")
            .with_hint("Narrow the time range or add a filter."),
        // A prepared statement is missing, or belongs to another client.
        "26000" | "42P05" => ApiError::new(
            Code::DatabaseUnavailable,
            "the sidecar has lost its session in PostgreSQL to another client of a connection pooler",
        )
        .with_hint("Ask the operator to set pool_mode = session for the sidecar in PgBouncer."),
        "55P03" => ApiError::new(Code::DatabaseUnavailable, "the data is locked by maintenance or by another change")
            .with_hint("Try again shortly."),
        "40001" | "40P01" => ApiError::new(
            Code::TransactionConflict,
            "the database rolled the request back, because it conflicted with another transaction",
        )
        .with_hint("Nothing was changed. Try again shortly."),
        "42501" => ApiError::new(Code::Forbidden, "the database role of the sidecar lacks a privilege")
            .with_hint("Ask the operator to GRANT audit_sidecar to that role, or the part of it that has this privilege: audit_server, audit_signer or audit_manager."),
        "25006" => ApiError::new(Code::DatabaseUnavailable, "the database is read-only")
            .with_hint("The sidecar records every query, so --database-url must name the primary. --replica-url can name a standby."),
        "3F000" | "42P01" | "42883" | "42704" => ApiError::new(
            Code::ExtensionMissing,
            "the extension audit_log is not installed in the database, or its version does not match the sidecar",
        )
        .with_hint("Run CREATE EXTENSION audit_log, or update the extension."),
        code if code.starts_with("22") => ApiError::new(Code::InvalidValue, "a value is not valid"),
        code if code.starts_with("54") => ApiError::new(Code::InvalidValue, "a value is too large"),
        code if ["08", "57", "53", "55", "28", "3D"].iter().any(|class| code.starts_with(class)) => unavailable(),
        _ => ApiError::new(Code::Internal, "the database reported an error; the sidecar log has details"),
    }
}

/// Returns whether a hint is written for users of SQL. It does not help clients of the sidecar.
fn speaks_sql(hint: &str) -> bool {
    ["SELECT ", "SET LOCAL ", "=>", "audit."].iter().any(|word| hint.contains(word))
}

/// Returns the code for an error of the extension itself. The texts of these errors are written for users.
fn own(state: &SqlState) -> Option<Code> {
    Some(match state.code() {
        "ZA002" => Code::MissingWorkspace,
        "ZA003" => Code::InvalidValue,
        "ZA004" => Code::UnknownAction,
        "ZA005" => Code::InvalidDetails,
        "ZA006" => Code::DetailsTooLarge,
        "ZA007" => Code::InvalidEvent,
        "ZA008" => Code::InvalidCursor,
        "ZA009" => Code::InvalidRange,
        "ZA011" => Code::InvalidRetention,
        "ZA012" => Code::LegalHoldConflict,
        "ZA016" => Code::EventNotFound,
        "ZA017" => Code::NotRedactable,
        _ => return None,
    })
}
