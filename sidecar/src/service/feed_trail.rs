//! The event that records reads of a feed: one for each token, workspace and hour.

use std::sync::LazyLock;

use deadpool_postgres::GenericClient;
use serde_json::json;

use crate::error::ApiError;
use crate::postgres::types::JsonText;
use crate::service::audit_trail::{self, AuditAction};
use crate::service::request_context::RequestContext;
use crate::service::token;

/// Records that a token reads the feed of a workspace after a leaf. No event of the feed may be sent before. The first
/// read of an hour appends `feed_read`. The others find its idempotency key, whichever sidecar appended it. The key
/// contains a secret, so that nobody else can claim it beforehand. Returns whether the token is still good.
///
/// # Errors
/// Returns the same errors as [`audit_trail::record`].
pub async fn record(
    client: &impl GenericClient,
    context: &RequestContext,
    token_id: &str,
    workspace: &str,
    after: i64,
) -> Result<bool, ApiError> {
    let recorded = async {
        let statement = client.prepare_cached(&APPEND).await?;
        let (action, actor) = (AuditAction::FeedRead.as_str(), token::actor(token_id));
        let details = json!({ "after": after }).to_string();
        let (ip, user_agent, request_id) = (&context.ip, context.user_agent.as_deref(), context.request_id.as_deref());
        let row = client
            .query_opt(
                &statement,
                &[&token_id, &action, &workspace, &actor, &JsonText(&details), ip, &user_agent, &request_id],
            )
            .await?;
        Ok(row.is_some())
    };
    recorded.await.map_err(audit_trail::not_recorded)
}

static APPEND: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT audit.append($2, workspace => home.workspace, actor => $4, details => $5::jsonb || home.details, \
         ip => host($6::inet), user_agent => $7, request_id => $8, \
         idempotency_key => 'feed_read:' || encode(sha256(t.secret_sha256 || \
         convert_to(floor(extract(epoch FROM now()) / 3600)::bigint || ' ' || $3, 'UTF8')), 'hex')) \
         FROM audit.api_token t, {} WHERE t.id = $1 AND {}",
        audit_trail::home("$3"),
        token::IS_GOOD
    )
});
