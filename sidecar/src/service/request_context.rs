//! What is known about a request beyond what it asks for.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::{ApiError, Code};

/// The request that something happens in; the middleware makes it, before any handler runs.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// Id of the request, given by the client in `x-request-id` or made up; none on the command line.
    pub request_id: Option<Arc<str>>,
    /// Address of the client.
    pub ip: Option<IpAddr>,
    /// The client's `User-Agent`, cut at 1000 bytes.
    pub user_agent: Option<Arc<str>>,
    /// Id of the token, once it is known to be good; for the access log.
    pub token_id: Arc<OnceLock<String>>,
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let context = parts.extensions.get::<Self>().cloned();
        context.ok_or_else(|| ApiError::new(Code::Internal, "the request has no context"))
    }
}
