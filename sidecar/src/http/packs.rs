//! `/v1/packs`.

use std::io::BufWriter;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, Code};
use crate::events::filters::Filters;
use crate::http::auth::Principal;
use crate::http::middleware::Envelope;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::http::stream;
use crate::metrics::Kind;
use crate::pack::audited::{Asker, Job};
use crate::pack::{Definition, Error, Progress, Wait, name};
use crate::service::request_context::RequestContext;
use crate::text::shorten;

/// Returns the routes of packs.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_packs)).routes(routes!(get_pack))
}

/// The packs that can be made.
#[derive(Serialize, ToSchema)]
pub struct Packs {
    /// Definitions of the packs.
    packs: Vec<Definition>,
}

/// List the packs
///
/// The answer holds the definitions of all packs that this sidecar can make, with the controls that each is evidence
/// for.
#[utoipa::path(
    get,
    path = "/v1/packs",
    tag = "packs",
    responses(
        (status = 200, description = "The packs", body = Packs),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden", body = Envelope),
    ),
)]
async fn list_packs(
    State(state): State<AppState>,
    principal: Principal,
    RawQuery(query): RawQuery,
) -> Result<Json<Packs>, ApiError> {
    principal.require(Right::Query)?;
    Params::parse(query.as_deref(), &[])?;
    Ok(Json(Packs { packs: state.packs.iter().map(|definition| Definition::clone(definition)).collect() }))
}

/// Get a pack
///
/// A pack is a zip with the events of a period (README.txt, events.json, events.csv, summary.csv, proof/,
/// manifest.json). It is read from one snapshot and written while you read it. One event records it before its first
/// byte, and another one when it has ended. If a pack cannot be completed, the transfer fails.
///
/// A named pack contains all events that its definition selects, and accepts no filters. The pack `export` accepts all
/// filters.
#[utoipa::path(
    get,
    path = "/v1/packs/{name}",
    tag = "packs",
    params(
        ("name" = String, Path, description = "Name of the pack, as in the list of packs", example = "access-review"),
        PackParams,
    ),
    responses(
        (status = 200, description = "The pack", body = [u8], content_type = "application/zip"),
        (status = 400, description = "missing_workspace, unknown_parameter, repeated_parameter, invalid_value, invalid_range, invalid_utf8", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 404, description = "pack_not_found, unknown_workspace", body = Envelope),
        (status = 429, description = "too_many_exports", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
    ),
)]
async fn get_pack(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    method: Method,
    Path(pack): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    stream::refuse_head(&method, "a pack")?;
    principal.require(Right::Export)?;
    let filters = || Params::parse_with_filters(query.as_deref(), &[])?.filters(&principal);
    stream_pack(&state, &principal, context, pack, filters).await
}

/// Makes a pack and streams it. The filters are read once the pack is known to exist. One event records the pack before
/// its first byte, and another one when it has ended.
///
/// # Errors
/// Fails with `forbidden`, `pack_not_found`, `too_many_exports`, the errors of `filters`, or those of [`Job::start`].
pub(crate) async fn stream_pack(
    state: &AppState,
    principal: &Principal,
    context: RequestContext,
    pack: String,
    filters: impl FnOnce() -> Result<Filters, ApiError>,
) -> Result<Response, ApiError> {
    principal.require_all_targets()?;
    let definition = find(state, &pack)?;
    let filters = filters()?;
    let what = format!("pack {pack} of {}", filters.workspace);
    let running = state.exports.begin(Kind::Pack, principal.owner(), what)?;
    let asker = Asker {
        database: state.database.clone(),
        context: context.clone(),
        actor: principal.actor.clone(),
        wait: Wait { limit: state.config.proof_wait, signer: state.signer.clone(), told: None },
    };
    let job = Job::start(asker, definition, filters).await?;

    let disposition = name::content_disposition(&job.request().file_name());
    let (end, body) = stream::body(state.config.stall_timeout);
    let out = end.writer();
    let (opened, open) = oneshot::channel();
    let metrics = state.metrics.clone();
    let task = tokio::spawn(async move {
        let client = end.clone();
        let stop = async {
            client.gone().await;
            "the client closed the connection"
        };
        let opened = || {
            let _ = opened.send(());
        };
        let shown = running.progress();
        let progress = move |progress: Progress| shown.events.store(progress.events, Ordering::Relaxed);
        let result = job.run(BufWriter::with_capacity(CHUNK, out), stop, opened, progress).await;
        let gone = matches!(result, Err(Error::Output(_) | Error::Stopped(_)));
        match &result {
            Ok(report) => {
                metrics.count_returned(Kind::Pack, report.events);
                let _ = end.finish().await;
            }
            Err(error) => {
                let cause = if let Error::Database(error) = error { error.cause() } else { None };
                let request_id = context.request_id.as_deref();
                tracing::warn!(%error, cause, request_id, pack, "a pack was not completed");
            }
        }
        // A pack that the client aborted counts as aborted.
        if !gone {
            running.finished(result.is_ok());
        }
        result.map(drop)
    });
    if open.await.is_err() {
        let result = task.await.map_err(ApiError::internal)?;
        return Err(result
            .err()
            .map_or_else(|| ApiError::internal("the pack ended before its snapshot was open"), ApiError::from));
    }
    let headers = [(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, body).into_response())
}

/// Returns the definition of a pack.
///
/// # Errors
/// Fails with `pack_not_found`.
pub(crate) fn find(state: &AppState, pack: &str) -> Result<Arc<Definition>, ApiError> {
    state.packs.find(pack).cloned().ok_or_else(|| {
        let names: Vec<&str> = state.packs.iter().map(|definition| definition.name.as_str()).collect();
        ApiError::new(Code::PackNotFound, format!("there is no pack \"{}\"", shorten(pack)))
            .with_hint(format!("The packs are: {}.", names.join(", ")))
    })
}

/// Describes the filters of a pack, for which `since` is required.
struct PackParams;

impl utoipa::IntoParams for PackParams {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = <Filters as utoipa::IntoParams>::into_params(place);
        for parameter in &mut parameters {
            match parameter.name.as_str() {
                "workspace" => (),
                "since" => {
                    parameter.required = Required::True;
                    parameter.description = Some("Start of the period: RFC 3339 or a date (midnight UTC)".into());
                }
                "until" => {
                    parameter.description =
                        Some("End of the period, not included. Default, and at the latest: now".into())
                }
                _ => parameter.description = parameter.description.take().map(|about| about + " (export only)"),
            }
        }
        parameters
    }
}

const CHUNK: usize = 64 << 10;
