//! The parts of the OpenAPI document besides the routes.

use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr};
use utoipa::{Modify, OpenApi as _};

use super::middleware::Envelope;
use super::{openapi_rules, rights};
use crate::error::Code;

/// Returns the document without routes.
pub(super) fn base() -> OpenApi {
    ApiDoc::openapi()
}

/// Returns the document with routes, as it is served. Axum marks a parameter that matches the rest of a path, but
/// OpenAPI only knows plain names.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    let paths = document.paths.paths.into_iter();
    document.paths.paths = paths.map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    openapi_rules::add(&mut document);
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
        (name = "events", description = "Append and read events of the audit log"),
        (name = "packs", description = "Evidence packs"),
        (name = "retention", description = "Retention and legal holds"),
        (name = "viewers", description = "Links with which a host application shows a person a part of the audit log"),
        (name = "log", description = "Hashes and signatures with which others can check the audit log; no content"),
        (name = "maintenance", description = "Maintenance and health checks"),
        (name = "health", description = "Checks of the sidecar itself; no token is needed"),
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
    /// Adds the meaning of each code to the description of the schema.
    fn modify(&self, openapi: &mut OpenApi) {
        let schemas = openapi.components.as_mut().map(|components| &mut components.schemas);
        if let Some(RefOr::T(Schema::Object(schema))) = schemas.and_then(|schemas| schemas.get_mut("Code")) {
            let meanings = Code::ALL.iter().filter_map(|code| {
                let name = serde_json::to_value(code).ok()?;
                Some(format!("\n`{}` ({}): {}", name.as_str()?, code.status().as_u16(), code.meaning()))
            });
            schema.description =
                Some(format!("Programs must evaluate the code, not the message.\n{}", meanings.collect::<String>()));
        }
    }
}

const ABOUT: &str = "REST API of the audit log that the PostgreSQL extension audit_log keeps.\n\n\
    Every path except /healthz and /readyz needs a token: `Authorization: Bearer audit_…`. Create one with \
    `audit-sidecar token create`, or send a JWT of an issuer that the sidecar accepts. If the sidecar runs with `--publish-checkpoints`, /v1/checkpoint and /v1/tile need none. \
    A token for one workspace gives access to that workspace only. The audit log also records every query and export \
    of events, and every change of retention and of legal holds.\n\n\
    The role of a token decides which rights it has. \"all\" means that only a token for all workspaces has the right.";

const ERRORS: &str = "All errors have the same form. It has a code for programs, a message and a hint for people, and a detail that \
    names the place. It also has the id of the request, which is in the header x-request-id, too.";
