//! An error with its code, its texts for the client and its cause for the log.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::code::Code;
use super::connection;

/// An error that a client gets to see.
#[derive(Clone, Debug)]
pub struct ApiError(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    message: String,
    detail: Option<serde_json::Value>,
    hint: Option<String>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// An error with this code and this message for the client.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { code, message: message.into(), detail: None, hint: None, cause: None }))
    }

    /// An error that is the sidecar's own fault: the client gets a fixed text, the cause is logged.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            Code::Internal,
            "something went wrong in the sidecar; its log tells more under the id of this request",
        )
        .with_cause(cause)
    }

    /// Says where, in data that a program can use, for example `{"line": 3}`.
    #[must_use]
    pub fn with_detail(mut self, detail: serde_json::Value) -> Self {
        Arc::make_mut(&mut self.0).detail = Some(detail);
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).hint = Some(hint.into());
        self
    }

    /// Puts other words for the client in place of the message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).message = message.into();
        self
    }

    /// Keeps what lies behind it, for the log.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Arc::make_mut(&mut self.0).cause = Some(Arc::from(cause.into()));
        self
    }

    /// The code that programs go by.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The HTTP status that the code stands for.
    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// What happened, for the client.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where, for a program of the client.
    pub fn detail(&self) -> Option<&serde_json::Value> {
        self.0.detail.as_ref()
    }

    /// What to do, for the client.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether the connection to the database was lost, so that a read is worth trying again on another.
    pub fn is_connection_lost(&self) -> bool {
        let cause = self.0.cause.as_ref().and_then(|cause| cause.downcast_ref::<tokio_postgres::Error>());
        cause.is_some_and(connection::is_lost)
    }

    /// What lies behind it, with all that lies behind that, for the log only.
    pub fn cause(&self) -> Option<String> {
        let mut next: Option<&(dyn Error + 'static)> = self.0.cause.as_ref().map(|cause| &**cause as _);
        let mut text: Option<String> = None;
        while let Some(error) = next {
            text = Some(match text {
                Some(text) => format!("{text}: {error}"),
                None => error.to_string(),
            });
            next = error.source();
        }
        text
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(hint) = &self.0.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_ref().map(|cause| &**cause as _)
    }
}

impl IntoResponse for ApiError {
    /// The status alone; the middleware finds the error in the extensions and writes the envelope.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
