//! The OpenAPI document: what it says besides the routes.

use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr};
use utoipa::{Modify, OpenApi as _};

use super::middleware::Envelope;
use super::rights;
use crate::error::Code;

/// The document without routes.
pub(super) fn base() -> OpenApi {
    ApiDoc::openapi()
}

/// The document with routes, as it is served. Axum marks a parameter that takes the rest of a path; OpenAPI knows plain
/// names alone.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    let paths = document.paths.paths.into_iter();
    document.paths.paths = paths.map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    document
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "audit-sidecar"
    ),
    modifiers(&Description, &Bearer, &Codes),
    security(("token" = [])),
    components(schemas(Envelope, Code)),
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

struct Description;

impl Modify for Description {
    fn modify(&self, openapi: &mut OpenApi) {
        openapi.info.description = Some(format!("{ABOUT}\n\n{}\n\n{ERRORS}", rights::markdown()));
    }
}

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut OpenApi) {
        let scheme =
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("audit_…").build());
        openapi.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

struct Codes;

impl Modify for Codes {
    /// The schema lists the codes; what each means goes into its description.
    fn modify(&self, openapi: &mut OpenApi) {
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

const ABOUT: &str = "REST over the audit log that the PostgreSQL extension audit_log keeps.\n\n\
    Every path but /healthz and /readyz needs a token: `Authorization: Bearer audit_…`, made with \
    `audit-sidecar token create`. If the sidecar runs with `--publish-checkpoints`, /v1/checkpoint and /v1/tile need none. \
    A token for one workspace gives access to that workspace only. Every query and export of events is itself an event, \
    and so is every change of retention and of legal holds.\n\n\
    The role of a token decides which rights it has. \"all\" means that the token must be for all workspaces.";

const ERRORS: &str = "Errors have one form: a code that programs go by, a message and a hint for people, a detail that says \
    where, and the id of the request, which is also in the header x-request-id.";
