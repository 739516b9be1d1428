//! The session of a request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use super::zone::Zone;
use super::{cookie, origin};
use crate::error::{ApiError, Code};
use crate::http::auth::{self, Principal, View};
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::http::stream;
use crate::service::request_context::RequestContext;
use crate::service::session::{self, Holder, SessionId};
use crate::service::token;

/// The session of a request, which has been found valid.
pub struct Session {
    /// The person who logged in.
    pub principal: Principal,
    /// Id of the session.
    pub id: SessionId,
    /// The zone of the times on its pages.
    pub zone: Zone,
}

impl Session {
    /// Refuses a download that another site causes, that is a HEAD request, or that the role does not allow.
    ///
    /// # Errors
    /// Fails with `forbidden` or `method_not_allowed`.
    pub fn require_download(&self, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
        if auth::is_from_another_site(headers) {
            return Err(origin::refusal("another site asked for the download"));
        }
        stream::refuse_head(method, "a download")?;
        self.principal.require(Right::Export)
    }
}

impl FromRequestParts<AppState> for Session {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Ok(zone) = Zone::from_request_parts(parts, state).await;
        let context = parts.extensions.get::<RequestContext>();
        let is_tls = context.is_some_and(|context| context.is_tls);
        let ended = || ApiError::new(Code::Unauthorized, "nobody is logged in, or the session has ended");
        let id = cookie::read(&parts.headers, is_tls).ok_or_else(ended)?;
        let holder = session::touch(&state.client().await?, &id).await?.ok_or_else(ended)?;
        if let Some(context) = context {
            let _ = context.token_id.set(holder.token_id.clone());
        }
        let role =
            holder.role.parse().map_err(|_| ApiError::internal(format!("a session of role \"{}\"", holder.role)))?;
        let view = holder.parent_id.map(|_| View { target: holder.target });
        if view.is_some()
            && let Some(context) = context
        {
            context.allow_frame();
        }
        let Holder { token_id, name, workspace, actor, .. } = holder;
        let actor = actor.unwrap_or_else(|| token::actor(&token_id));
        let principal = Principal { token_id: Some(token_id), name, role, workspace, actor, view };
        Ok(Self { principal, id, zone })
    }
}
