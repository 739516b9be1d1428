//! `/healthz` and `/readyz`, which need no token.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::http::middleware::OwnBody;
use crate::http::state::AppState;

/// The routes of health.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_liveness)).routes(routes!(get_readiness))
}

/// Whether requests can be answered.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// The database answers, the extension is there, the rights suffice.
    ready: bool,
    /// Each check.
    checks: Checks,
}

/// The checks.
#[derive(Serialize, ToSchema)]
struct Checks {
    /// The database answers.
    database: Check,
    /// The extension audit_log is there.
    extension: Check,
    /// The role of the sidecar has the rights that it needs.
    rights: Check,
    /// The log gets on. Where not, its operator has to look; requests are answered all the same.
    status: Check,
    /// Checkpoints are signed, where that is set up. Where not well, its operator has to look; requests are answered all the same.
    signing: Check,
}

/// How a check went.
#[derive(Serialize, ToSchema)]
struct Check {
    /// Well.
    ok: bool,
    /// In words.
    #[schema(value_type = String)]
    detail: Cow<'static, str>,
}

/// Is the process alive
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, description = "It is", body = String)))]
async fn get_liveness() -> &'static str {
    "ok\n"
}

/// Can requests be answered
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "They can", body = Readiness),
    (status = 503, description = "They cannot: the checks say why", body = Readiness),
))]
async fn get_readiness(State(state): State<AppState>) -> Response {
    let look = tokio::time::timeout(PATIENCE, look(&state)).await;
    let checks = match look {
        Ok(Ok((extension, rights))) => Checks {
            database: Check::new(true, "answers"),
            extension: Check::new(extension, if extension { "is there" } else { "CREATE EXTENSION audit_log" }),
            rights: Check::new(
                rights,
                match (extension, rights) {
                    (_, true) => "suffice",
                    (true, false) => "GRANT audit_sidecar to the role",
                    (false, false) => "not known without the extension",
                },
            ),
            signing: signing(&state),
            status: if rights { status(&state).await } else { Check::new(false, "not known without the rights") },
        },
        other => {
            let cause = other.ok().and_then(Result::err).and_then(|error| error.cause());
            tracing::warn!(cause, "not ready: the database does not answer");
            let unknown = || Check::new(false, "not known without the database");
            Checks {
                database: Check::new(false, "does not answer"),
                extension: unknown(),
                rights: unknown(),
                status: unknown(),
                signing: signing(&state),
            }
        }
    };
    let ready = checks.database.ok && checks.extension.ok && checks.rights.ok;
    let body = Json(Readiness { ready, checks });
    if ready {
        return body.into_response();
    }
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    response.extensions_mut().insert(OwnBody);
    response
}

/// By the names of the checks alone: whoever asks here needs no token.
async fn status(state: &AppState) -> Check {
    let Some(status) = state.status().await else {
        return Check::new(false, "not known: the database does not tell");
    };
    if status.ok {
        return Check::new(true, "well");
    }
    let names: Vec<&str> = status.failing().map(|check| check.name.as_str()).collect();
    Check::new(false, format!("not well: {}; audit-sidecar status tells more", names.join(", ")))
}

fn signing(state: &AppState) -> Check {
    let (ok, detail) = state.signing.check();
    Check::new(ok, detail)
}

impl Check {
    fn new(ok: bool, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { ok, detail: detail.into() }
    }
}

async fn look(state: &AppState) -> Result<(bool, bool), ApiError> {
    let read = |client: deadpool_postgres::Client| async move {
        let row = client.query_one(LOOK, &[]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    };
    state.database.read(read).await
}

const PATIENCE: Duration = Duration::from_secs(5);

/// The second column is worked out only where the extension is there; a function named by text is looked up at run time.
const LOOK: &str = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'audit_log'), \
    CASE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'audit_log') THEN \
        coalesce(has_table_privilege(to_regclass('audit.api_token'), 'SELECT') \
                 AND has_function_privilege(to_regprocedure('audit.append_many(jsonb)'), 'EXECUTE') \
                 AND pg_has_role(current_user, 'audit_sidecar', 'USAGE'), false) \
    ELSE false END";
