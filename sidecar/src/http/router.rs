//! The HTTP interface: every route, and what surrounds them.

use axum::response::IntoResponse;
use axum::{Router, http::StatusCode, middleware as layers};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use super::{activity, events, health, legal_holds, log, maintenance, meta, middleware, packs, retention};
use crate::error::{ApiError, Code};
use crate::http::state::AppState;

/// All of it.
///
/// # Errors
/// Never in practice: where the OpenAPI document cannot be written.
pub fn router(state: AppState) -> Result<Router, ApiError> {
    let (router, mut openapi) = OpenApiRouter::with_openapi(ApiDoc::openapi())
        .merge(events::router())
        .merge(activity::router())
        .merge(packs::router())
        .merge(retention::router())
        .merge(legal_holds::router())
        .merge(maintenance::router())
        .merge(log::router())
        .merge(health::router())
        .split_for_parts();
    // What takes the rest of a path is written as axum wants it; OpenAPI knows plain names alone.
    openapi.paths.paths = openapi.paths.paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, state.config.request_timeout);
    Ok(router
        .merge(meta::router(&openapi)?)
        .fallback(async || ApiError::new(Code::NotFound, "there is nothing at this path"))
        .layer(timeout)
        .layer(CatchPanicLayer::custom(|_| ApiError::internal("a handler panicked").into_response()))
        .layer(layers::from_fn_with_state(state.clone(), middleware::surround))
        .with_state(state))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "audit-sidecar",
        description = "REST over the audit log that the PostgreSQL extension audit_log keeps.\n\n\
            Every path but /healthz and /readyz needs a token: `Authorization: Bearer audit_…`, made with \
            `audit-sidecar token create`. Roles: viewer queries and sees retention; auditor also takes streams and packs and sees \
            legal holds; writer appends and does nothing else; admin does all. /metrics and /v1/status take a token of role \
            admin, or of role viewer or auditor for all workspaces; POST /v1/maintenance takes one of role admin for all \
            workspaces; /v1/checkpoint and /v1/tile take one of role admin, auditor or viewer for all workspaces, or none where the \
            sidecar publishes them. A token for one workspace sees that one only. Every query and export of events is itself an event, \
            and so is every change of retention and of legal holds.\n\n\
            Errors have one form: a code that programs go by, a message and a hint for people, a detail that says where, \
            and the id of the request, which is also in the header x-request-id."
    ),
    modifiers(&Bearer, &Codes),
    security(("token" = [])),
    components(schemas(middleware::Envelope, Code)),
    tags(
        (name = "events", description = "The log"),
        (name = "packs", description = "Evidence"),
        (name = "retention", description = "How long events are kept"),
        (name = "log", description = "What others check the log by: hashes and signatures, no content"),
        (name = "maintenance", description = "What is done as time goes by"),
        (name = "health", description = "For those who run it; no token needed"),
    ),
)]
struct ApiDoc;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme =
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("audit_…").build());
        openapi.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

struct Codes;

impl Modify for Codes {
    /// The schema lists the codes; what each means goes into its description.
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let schemas = openapi.components.as_mut().map(|components| &mut components.schemas);
        if let Some(RefOr::T(Schema::Object(schema))) = schemas.and_then(|schemas| schemas.get_mut("Code")) {
            let meanings = Code::ALL.iter().filter_map(|code| {
                let name = serde_json::to_value(code).ok()?;
                Some(format!("\n`{}` ({}): {}", name.as_str()?, code.status().as_u16(), code.meaning()))
            });
            schema.description =
                Some(format!("Programs go by the code, not by the message.\n{}", meanings.collect::<String>()));
        }
    }
}
