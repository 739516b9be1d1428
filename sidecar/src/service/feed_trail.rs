//! The event that records reads of a feed: one for each reader, workspace and hour.

use std::sync::LazyLock;

use deadpool_postgres::GenericClient;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::http::auth::Principal;
use crate::postgres::types::JsonText;
use crate::service::audit_trail::{self, AuditAction};
use crate::service::request_context::RequestContext;
use crate::service::token;

/// Records that a token or an identity reads the feed of a workspace after a leaf. No event of the feed may be sent before.
/// The first read of an hour appends `feed_read`. The others find its idempotency key. The key contains a secret, so that
/// nobody else can claim it beforehand. For a token, the secret is the same in every sidecar. For an identity, each sidecar
/// has its own, and records the read for itself. Returns whether the token is still good.
///
/// # Errors
/// Returns the same errors as [`audit_trail::record`].
pub async fn record(
    client: &impl GenericClient,
    context: &RequestContext,
    reader: &Principal,
    workspace: &str,
    after: i64,
) -> Result<bool, ApiError> {
    let recorded = async {
        let statement = client.prepare_cached(&APPEND).await?;
        let (action, actor, token_id) = (AuditAction::FeedRead.as_str(), &reader.actor, reader.token_id.as_deref());
        let secret = if token_id.is_none() { Some(secret_of(actor)?) } else { None };
        let details = json!({ "after": after }).to_string();
        let (ip, user_agent, request_id) = (&context.ip, context.user_agent.as_deref(), context.request_id.as_deref());
        let row = client
            .query_opt(
                &statement,
                &[&token_id, &action, &workspace, actor, &JsonText(&details), ip, &user_agent, &request_id, &secret],
            )
            .await?;
        Ok(row.is_some())
    };
    recorded.await.map_err(audit_trail::not_recorded)
}

/// Returns the secret for the reads of an identity. It ends with this process.
fn secret_of(actor: &str) -> Result<Vec<u8>, ApiError> {
    static SECRET: LazyLock<Result<[u8; 32], getrandom::Error>> = LazyLock::new(|| {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map(|()| secret)
    });
    let secret = SECRET.map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(Sha256::new().chain_update(secret).chain_update(actor).finalize().to_vec())
}

static APPEND: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT audit.append($2, workspace => home.workspace, actor => $4, details => $5::jsonb || home.details, \
         ip => host($6::inet), user_agent => $7, request_id => $8, \
         idempotency_key => 'feed_read:' || encode(sha256(reader.secret || \
         convert_to(floor(extract(epoch FROM now()) / 3600)::bigint || ' ' || $3, 'UTF8')), 'hex')) \
         FROM (SELECT secret_sha256 AS secret FROM audit.api_token WHERE id = $1 AND {} \
               UNION ALL SELECT $9::bytea WHERE $1::text IS NULL) reader, {}",
        token::IS_GOOD,
        audit_trail::home("$3")
    )
});
