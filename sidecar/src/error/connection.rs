//! Whether an error of the driver is about the connection itself.

/// Whether the connection is gone, or the server is about to end it.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(db) => matches!(db.code().code(), "57P01" | "57P02" | "57P03") || db.code().code().starts_with("08"),
        None => error.is_closed() || is_io(error),
    }
}

/// Whether input or output failed.
pub(super) fn is_io(error: &tokio_postgres::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if cause.is::<std::io::Error>() {
            return true;
        }
        next = cause.source();
    }
    // "error connecting to server" and time-outs of it carry their cause only as text.
    error.to_string().starts_with("error connecting") || error.to_string().starts_with("timeout")
}
