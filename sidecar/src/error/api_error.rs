//! An error with its code, its texts for the client and its cause for the sidecar log.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::code::Code;
use super::connection;

/// An error that the client receives.
#[derive(Clone, Debug)]
pub struct ApiError(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    message: String,
    detail: Option<serde_json::Value>,
    hint: Option<String>,
    challenge: Option<&'static str>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// Creates an error with this code and this message for the client.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { code, message: message.into(), detail: None, hint: None, challenge: None, cause: None }))
    }

    /// Creates an error for a fault of the sidecar. The client receives a fixed text, and the cause goes to the sidecar
    /// log.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            Code::Internal,
            "an internal error occurred; the sidecar log has details under the id of this request",
        )
        .with_cause(cause)
    }

    /// Adds the place of the error as data for programs, for example `{"line": 3}`.
    #[must_use]
    pub fn with_detail(mut self, detail: serde_json::Value) -> Self {
        Arc::make_mut(&mut self.0).detail = Some(detail);
        self
    }

    /// Adds a hint for the client.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).hint = Some(hint.into());
        self
    }

    /// Adds the error of the header WWW-Authenticate (RFC 6750, section 3.1).
    #[must_use]
    pub fn with_challenge(mut self, error: &'static str) -> Self {
        Arc::make_mut(&mut self.0).challenge = Some(error);
        self
    }

    /// Replaces the message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).message = message.into();
        self
    }

    /// Adds the cause, for the sidecar log.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Arc::make_mut(&mut self.0).cause = Some(Arc::from(cause.into()));
        self
    }

    /// Returns the code, which programs evaluate.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the HTTP status of the code.
    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// Returns the message for the client.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the place of the error, for programs.
    pub fn detail(&self) -> Option<&serde_json::Value> {
        self.0.detail.as_ref()
    }

    /// Returns the hint for the client.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns the error of the header WWW-Authenticate.
    pub fn challenge(&self) -> Option<&'static str> {
        self.0.challenge
    }

    /// Returns whether the connection to the database was lost, so that a retry of a read can succeed.
    pub fn is_connection_lost(&self) -> bool {
        let cause = self.0.cause.as_ref().and_then(|cause| cause.downcast_ref::<tokio_postgres::Error>());
        cause.is_some_and(connection::is_lost)
    }

    /// Returns whether PostgreSQL rolled the transaction back because of other transactions, so that a retry of all of it
    /// can succeed. The causes are a deadlock and a failure to serialize. On a standby, a change on the primary is another.
    pub fn is_conflict(&self) -> bool {
        self.code() == Code::TransactionConflict
    }

    /// Returns the cause and its own causes as one text, for the sidecar log only.
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
    /// Returns the status only. The middleware finds the error in the extensions, and writes the envelope.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
