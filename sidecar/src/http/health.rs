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
use crate::postgres::replica::ReplicaState;
use crate::postgres::version;

/// Returns the routes of health.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_liveness)).routes(routes!(get_readiness))
}

/// Whether the sidecar can answer requests.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// Whether the database answers, the extension is installed in a version that goes with the sidecar, and the privileges
    /// are sufficient.
    ready: bool,
    /// The result of each check.
    checks: Checks,
}

/// The results of the checks.
#[derive(Serialize, ToSchema)]
struct Checks {
    /// Whether the database answers and is a primary.
    database: Check,
    /// Whether the extension audit_log is installed, in a version that goes with the sidecar.
    extension: Check,
    /// Whether the role of the sidecar has the privileges that it needs.
    rights: Check,
    /// Whether the replica answers, if there is one. If not, the primary answers reads in its place.
    replica: Check,
    /// Whether the health checks of the audit log pass. If not, the operator must act. Requests are still answered.
    status: Check,
    /// Whether checkpoints are signed, if signing is configured. If not, the operator must act. Requests are still
    /// answered.
    signing: Check,
}

/// The result of a check.
#[derive(Serialize, ToSchema)]
struct Check {
    /// Whether the check passes.
    ok: bool,
    /// Explanation.
    #[schema(value_type = String)]
    detail: Cow<'static, str>,
}

/// Check that the process is alive
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, description = "The process is alive", body = String)))]
async fn get_liveness() -> &'static str {
    "ok\n"
}

/// Check that requests can be answered
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "Requests can be answered", body = Readiness),
    (status = 503, description = "Requests cannot be answered: the checks give the reason", body = Readiness),
))]
async fn get_readiness(State(state): State<AppState>) -> Response {
    let look = tokio::time::timeout(PATIENCE, look(&state)).await;
    let checks = match look {
        Ok(Ok(Found { standby, extension, role, rights })) => Checks {
            database: if standby { Check::new(false, STANDBY) } else { Check::new(true, "answers") },
            extension: extension_check(extension.as_deref()),
            rights: Check::new(
                rights,
                match (extension.is_some(), role, rights) {
                    (_, _, true) => "are sufficient",
                    (true, true, false) => "are not sufficient: GRANT audit_server or audit_sidecar to the role",
                    (true, false, false) => RENAMED,
                    (false, _, false) => "unknown without the extension",
                },
            ),
            replica: replica(&state).await,
            signing: signing(&state),
            status: if rights { status(&state).await } else { Check::new(false, "unknown without the privileges") },
        },
        other => {
            let error = other.ok().and_then(Result::err);
            let cause = error.as_ref().and_then(ApiError::cause);
            let detail = error.map_or("does not answer".into(), |error| error.message().to_owned());
            tracing::warn!(cause, detail, "not ready: the database cannot be used");
            let unknown = || Check::new(false, "unknown without the database");
            Checks {
                database: Check::new(false, detail),
                extension: unknown(),
                rights: unknown(),
                replica: unknown(),
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

/// Returns the result of the health checks. It names failing checks only, because the path needs no token.
async fn status(state: &AppState) -> Check {
    let Some(status) = state.status().await else {
        return Check::new(false, "unknown: the database did not answer in time");
    };
    if status.ok {
        return Check::new(true, "all checks pass");
    }
    let names: Vec<&str> = status.failing().map(|check| check.name.as_str()).collect();
    Check::new(false, format!("failing: {}; run audit-sidecar status for details", names.join(", ")))
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

fn extension_check(version: Option<&str>) -> Check {
    match version.map(|version| (version, version::mismatch(version))) {
        None => Check::new(false, "is not installed: run CREATE EXTENSION audit_log"),
        Some((_, Some(problem))) => Check::new(false, problem),
        Some((version, None)) => Check::new(true, format!("is installed in version {version}")),
    }
}

/// Compares the replica with the primary.
async fn replica(state: &AppState) -> Check {
    match tokio::time::timeout(PATIENCE, state.reads.replica_state()).await {
        Ok(Ok(ReplicaState::None)) => Check::new(true, "there is none: the primary answers reads"),
        Ok(Ok(ReplicaState::Good)) => Check::new(true, "answers reads"),
        Ok(Ok(ReplicaState::Stranger)) => Check::new(false, "holds another audit log: change --replica-url"),
        Ok(Ok(ReplicaState::Silent)) => Check::new(false, "does not answer: the primary answers reads"),
        Ok(Err(_)) | Err(_) => Check::new(false, "unknown: the replica or the primary did not answer in time"),
    }
}

/// The conditions of readiness.
struct Found {
    standby: bool,
    /// The version of the extension, if it is installed.
    extension: Option<String>,
    /// Whether there is a role audit_server.
    role: bool,
    rights: bool,
}

async fn look(state: &AppState) -> Result<Found, ApiError> {
    let read = |client: deadpool_postgres::Client| async move {
        let row = client.query_one(LOOK, &[]).await?;
        let (extension, rights) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Found { extension, rights, standby: row.try_get(2)?, role: row.try_get(3)? })
    };
    state.database.read(read).await
}

const PATIENCE: Duration = Duration::from_secs(5);

/// Evaluates the second column only if the extension is installed. A function that is named as text is looked up at run
/// time.
const LOOK: &str = "SELECT (SELECT extversion FROM pg_extension WHERE extname = 'audit_log'), \
    CASE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'audit_log') THEN \
        coalesce(has_table_privilege(to_regclass('audit.api_token'), 'SELECT') \
                 AND has_function_privilege(to_regprocedure('audit.append_many(jsonb)'), 'EXECUTE') \
                 AND (SELECT pg_has_role(current_user, r.oid, 'USAGE') FROM pg_roles r WHERE r.rolname = 'audit_server'), false) \
    ELSE false END, \
    pg_catalog.pg_is_in_recovery(), \
    EXISTS (SELECT FROM pg_roles WHERE rolname = 'audit_server')";

const RENAMED: &str = "are not sufficient: the database has no role audit_server, which the extension knows by this name. If \
    the role was renamed, use ALTER ROLE … RENAME TO audit_server";

const STANDBY: &str = "is a standby, but every request is recorded: --database-url must name the primary, and \
    --replica-url can name a standby";
