//! `POST /v1/events`.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use deadpool_postgres::{Client, GenericClient};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, Code};
use crate::http::auth::Principal;
use crate::http::body;
use crate::http::events::batch::{Batch, Form, NewEvent, not_utf8};
use crate::http::middleware::Envelope;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::postgres::types::JsonText;

/// One event, or an array of events.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, clippy::large_enum_variant, reason = "it only describes the body")]
enum Upload<'a> {
    One(NewEvent<'a>),
    Many(Vec<NewEvent<'a>>),
}

/// The answer to an append.
#[derive(Serialize, ToSchema)]
pub struct Appended {
    /// Ids of the events, in the order of the upload.
    ids: Vec<i64>,
}

/// Append events
///
/// Send one event or an array of events as `application/json`, or one event per line as `application/x-ndjson`. Either
/// all events are stored or none. The answer follows the commit of the transaction. The `detail` of an error names the
/// `line` (counted from 1) or the `element` (counted from 0) that caused it. If you receive no answer, send the events
/// again with the same `idempotency_key` in each. No event is then stored twice.
///
/// A body can be compressed, with a `Content-Encoding` of `gzip`, `zstd` or `deflate`. The maximum size of a body applies
/// to both its forms. A byte order mark at the beginning is ignored.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    request_body(content(
        (Upload = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 201, description = "All events are stored", body = Appended),
        (status = 400, description = "invalid_json, invalid_utf8, invalid_event, invalid_value, missing_workspace, invalid_encoding, incomplete_body", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 413, description = "body_too_large, details_too_large", body = Envelope),
        (status = 415, description = "unsupported_media_type, unsupported_encoding", body = Envelope),
        (status = 422, description = "unknown_action, invalid_details", body = Envelope),
        (status = 503, description = "database_unavailable, transaction_conflict", body = Envelope),
    ),
)]
pub(super) async fn append_events(
    State(state): State<AppState>,
    principal: Principal,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    principal.require(Right::Append)?;
    Params::parse(query.as_deref(), &[])?;
    let form = form(request.headers())?;
    let _turn = state.large_bodies.turn(&request).await;
    let body = body::decoded(request, state.config.max_body).await.map_err(|error| match error.code() {
        Code::BodyTooLarge => error.with_hint("Send fewer events in one request."),
        _ => error,
    })?;
    let text = str::from_utf8(&body).map_err(|error| not_utf8(&body, error.valid_up_to(), form))?;
    let batch = Batch::read(body::without_mark(text), form, &principal)?;
    let ids = state.database.write(|client| append(client, &batch)).await?;
    state.metrics.events_appended.inc_by(ids.len() as u64);
    Ok((StatusCode::CREATED, Json(Appended { ids })).into_response())
}

async fn append(mut client: Client, batch: &Batch<'_>) -> Result<Vec<i64>, ApiError> {
    let transaction = client.transaction().await?;
    refuse_own_actions(&transaction, batch).await?;
    let statement = transaction.prepare_cached(APPEND).await?;
    let appended = transaction.query_one(&statement, &[&JsonText(batch.json())]).await;
    let row = match appended.map_err(ApiError::from) {
        Ok(row) => row,
        Err(error) => {
            drop(transaction);
            return Err(name_culprit(&client, batch, error).await);
        }
    };
    let ids = row.try_get(0)?;
    transaction.commit().await.map_err(|error| {
        let api = ApiError::from(error);
        if !api.is_connection_lost() {
            return api;
        }
        api.with_message(
            "the connection to the database was lost during COMMIT: it is unknown whether the events are stored",
        )
        .with_hint("Send the events again with the same idempotency_key in each. None is then stored twice.")
    })?;
    Ok(ids)
}

const APPEND: &str = "SELECT coalesce(array_agg(a.id ORDER BY a.place), '{}') \
                      FROM audit.append_many($1) WITH ORDINALITY a (id, place)";

/// Refuses actions of category audit. The database role of the sidecar may append them, but its clients may not:
/// otherwise, events about the use of the audit log would prove nothing.
async fn refuse_own_actions(client: &impl GenericClient, batch: &Batch<'_>) -> Result<(), ApiError> {
    let mut actions: Vec<&str> = batch.events.iter().map(|event| &*event.action).collect();
    actions.sort_unstable();
    actions.dedup();
    // The database reports a zero byte with its own error.
    actions.retain(|action| !action.contains('\0'));
    let statement = client.prepare_cached(OWN_ACTIONS).await?;
    let Some(row) = client.query_opt(&statement, &[&actions]).await? else { return Ok(()) };
    let action: &str = row.try_get(0)?;
    let at = batch.events.iter().position(|event| event.action == action).unwrap_or_default();
    let error = ApiError::new(Code::Forbidden, format!("only the audit log itself may record action \"{action}\""));
    Err(batch.locate(error, at))
}

/// Adds to an error of the database the event that caused it. The database names the event itself, unless it failed to
/// parse the JSON of the batch.
async fn name_culprit(client: &impl GenericClient, batch: &Batch<'_>, error: ApiError) -> ApiError {
    if let Some(located) = batch.locate_database_error(&error) {
        return located;
    }
    if error.code() != Code::InvalidValue {
        return error;
    }
    // The first invalid event is the last event of the shortest prefix that cannot be parsed.
    let (mut good, mut bad) = (0, batch.events.len());
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        let events = batch.part_of_json(good..middle);
        match client.query_one("SELECT $1::jsonb IS NULL", &[&JsonText(&events)]).await {
            Ok(_) => good = middle,
            Err(_) if client_is_gone(client).await => return error,
            Err(_) => bad = middle,
        }
    }
    batch.locate(error, good)
}

async fn client_is_gone(client: &impl GenericClient) -> bool {
    client.batch_execute("").await.is_err()
}

fn form(headers: &HeaderMap) -> Result<Form, ApiError> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Form::Json),
        "application/x-ndjson" | "application/ndjson" => Ok(Form::Ndjson),
        _ => Err(ApiError::new(Code::UnsupportedMediaType, "the path does not accept the media type of the body")
            .with_hint("Send Content-Type: application/json or application/x-ndjson.")),
    }
}

const OWN_ACTIONS: &str = "SELECT action FROM audit.action WHERE category = 'audit' AND action = ANY ($1) LIMIT 1";
