//! Checks whether an error of the driver concerns the connection itself.

/// Returns whether the connection is lost, or the server is about to close it.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(db) => matches!(db.code().code(), "57P01" | "57P02" | "57P03") || db.code().code().starts_with("08"),
        None => error.is_closed() || is_io(error),
    }
}

/// Returns whether input or output failed.
pub(super) fn is_io(error: &tokio_postgres::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if cause.is::<std::io::Error>() {
            return true;
        }
        next = cause.source();
    }
    // Errors and time-outs of connecting carry their cause only as text.
    error.to_string().starts_with("error connecting") || error.to_string().starts_with("timeout")
}
