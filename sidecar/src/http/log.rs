//! `/v1/checkpoint` and tiles. With them, others can check the workspace logs, in the layout of
//! <https://c2sp.org/tlog-tiles>. They hold hashes only. The entries of the logs are not published.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::checkpoint;
use crate::error::{ApiError, Code};
use crate::http::auth::Principal;
use crate::http::middleware::Envelope;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::audit_trail::SYSTEM_WORKSPACE;
use audit_proof::tile::{FULL, Tile};

/// Returns the routes of checkpoints and tiles.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(get_checkpoint))
        .routes(routes!(get_system_tile))
        .routes(routes!(get_workspace_tile))
}

/// Get the latest checkpoint
///
/// The checkpoint is the signed head of the system log, which holds the heads of all other workspace logs. Its form is
/// a signed note (C2SP tlog-checkpoint), with the cosignatures of witnesses. No token is needed if the sidecar runs
/// with --publish-checkpoints.
#[utoipa::path(
    get,
    path = "/v1/checkpoint",
    tag = "log",
    responses(
        (status = 200, description = "The signed note", body = String, content_type = "text/plain"),
        (status = 400, description = "unknown_parameter", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden", body = Envelope),
        (status = 404, description = "not_found: no checkpoint has been signed yet", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
    ),
)]
async fn get_checkpoint(
    State(state): State<AppState>,
    principal: Result<Principal, ApiError>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let caching = published(&state, principal)?;
    Params::parse(query.as_deref(), &[])?;
    let note = state.database.read(checkpoint::latest).await?;
    let note = note.ok_or_else(|| {
        ApiError::new(Code::NotFound, "no checkpoint has been signed yet")
            .with_hint("Start the sidecar with --signing-key to sign checkpoints.")
    })?;
    let cache = HeaderValue::from_static(if caching == PUBLIC { "public, max-age=5" } else { "no-store" });
    Ok(([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, cache)], note).into_response())
}

/// Get a tile of the system log
///
/// A tile holds hashes of the tree of the system log, 32 bytes each. Its path is `tile/<level>/<index>`, followed by
/// `.p/<width>` for a tile that is not full. No token is needed if the sidecar runs with --publish-checkpoints.
#[utoipa::path(
    get,
    path = "/v1/tile/{level}/{*index}",
    tag = "log",
    params(
        ("level" = u8, Path, description = "Level: the hashes are of subtrees of 256 ^ level leaves"),
        ("index" = String, Path, description = "Index of the tile in groups of three digits, such as x001/x234/067 or 000.p/17"),
    ),
    responses(
        (status = 200, description = "The hashes", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, description = "unknown_parameter", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden", body = Envelope),
        (status = 404, description = "not_found: the tile does not exist, or is not that wide yet", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
    ),
)]
async fn get_system_tile(
    State(state): State<AppState>,
    principal: Result<Principal, ApiError>,
    Path((level, index)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let caching = published(&state, principal)?;
    Params::parse(query.as_deref(), &[])?;
    tile(&state, SYSTEM_WORKSPACE, &level, &index, caching).await
}

/// Get a tile of a workspace log
///
/// A tile holds hashes of the tree of the workspace log, in the same form as a tile of the system log.
#[utoipa::path(
    get,
    path = "/v1/logs/{workspace}/tile/{level}/{*index}",
    tag = "log",
    params(
        ("workspace" = String, Path, description = "Workspace"),
        ("level" = u8, Path, description = "Level: the hashes are of subtrees of 256 ^ level leaves"),
        ("index" = String, Path, description = "Index of the tile in groups of three digits, such as x001/x234/067 or 000.p/17"),
    ),
    responses(
        (status = 200, description = "The hashes", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, description = "unknown_parameter, invalid_value", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 404, description = "not_found: the tile does not exist, or is not that wide yet", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
    ),
)]
async fn get_workspace_tile(
    State(state): State<AppState>,
    principal: Principal,
    Path((workspace, level, index)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    principal.require(Right::Query)?;
    let workspace = principal.workspace(Some(&workspace))?;
    Params::parse(query.as_deref(), &[])?;
    tile(&state, &workspace, &level, &index, PRIVATE).await
}

/// Checks whether the client may see checkpoints. Returns the caching directive of the answer.
fn published(state: &AppState, principal: Result<Principal, ApiError>) -> Result<&'static str, ApiError> {
    if state.config.publish_checkpoints {
        return Ok(PUBLIC);
    }
    principal?.require(Right::SeeCheckpoints)?;
    Ok(PRIVATE)
}

async fn tile(
    state: &AppState,
    workspace: &str,
    level: &str,
    index: &str,
    caching: &'static str,
) -> Result<Response, ApiError> {
    let none = || ApiError::new(Code::NotFound, "the tile does not exist, or is not that wide yet");
    let tile = Tile::from_path(&format!("tile/{level}/{index}")).ok_or_else(none)?;
    let at = (i32::from(tile.level), i64::try_from(tile.index).map_err(|_| none())?);
    // The numbers of its leaves would exceed a bigint.
    if at.1 >= i64::MAX >> 8 {
        return Err(none());
    }
    let read = |client: deadpool_postgres::Client| async move {
        let statement = client.prepare_cached("SELECT audit.tile_hashes($1, $2, $3)").await?;
        let row = client.query_one(&statement, &[&workspace, &at.0, &at.1]).await?;
        Ok(row.try_get::<_, Option<Vec<u8>>>(0)?)
    };
    let hashes = Bytes::from(state.database.read(read).await?.unwrap_or_default());
    let length = 32 * usize::from(tile.width);
    if hashes.len() < length {
        return Err(none());
    }
    let caching = if tile.width == FULL { caching } else { "no-store" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
    ];
    Ok((headers, hashes.slice(..length)).into_response())
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Caching directive of a full tile, which never changes.
const PUBLIC: &str = "public, max-age=31536000, immutable";

const PRIVATE: &str = "private, max-age=31536000, immutable";
