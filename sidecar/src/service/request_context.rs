//! The origin of a request: its id, address, user agent and token.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::{ApiError, Code};

/// The origin of a request. The middleware creates it before a handler runs.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// Id of the request, from the client's `x-request-id` or generated. It is none on the command line.
    pub request_id: Option<Arc<str>>,
    /// Address of the client.
    pub ip: Option<IpAddr>,
    /// The client's `User-Agent`, truncated to 1000 bytes.
    pub user_agent: Option<Arc<str>>,
    /// Whether the client connected over TLS, to the sidecar or to a trusted proxy.
    pub is_tls: bool,
    /// Whether the pages of the configured origins may show the answer in a frame.
    pub may_be_framed: Arc<AtomicBool>,
    /// Id of the token, for the access log. It is set when the token has been found valid.
    pub token_id: Arc<OnceLock<String>>,
}

impl RequestContext {
    /// Lets the pages of the configured origins show the answer in a frame.
    pub fn allow_frame(&self) {
        self.may_be_framed.store(true, Ordering::Relaxed);
    }

    /// Returns whether the pages of the configured origins may show the answer in a frame.
    pub fn may_be_framed(&self) -> bool {
        self.may_be_framed.load(Ordering::Relaxed)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let context = parts.extensions.get::<Self>().cloned();
        context.ok_or_else(|| ApiError::new(Code::Internal, "the request has no context"))
    }
}
