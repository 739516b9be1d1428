//! `GET /v1/activity`.

use std::sync::LazyLock;

use axum::extract::{RawQuery, State};
use axum::{Json, response::IntoResponse, response::Response};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, Code};
use crate::events::filters::Filters;
use crate::http::auth::Principal;
use crate::http::middleware::Envelope;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::outcome::Outcome;
use crate::service::audit_trail::{self, AuditAction, Entry};
use crate::service::request_context::RequestContext;
use crate::text::shorten;
use crate::time::Time;

/// Returns the routes of activity.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(count_events))
}

/// Numbers of events by time.
#[derive(Serialize, ToSchema)]
pub struct Activity {
    /// The buckets by time, then by group. Buckets without events are omitted.
    buckets: Vec<Bucket>,
}

/// Number of events in a period of time.
#[derive(Serialize, ToSchema)]
pub struct Bucket {
    /// Start of the bucket.
    #[schema(value_type = String, format = DateTime)]
    bucket_start: Time,
    /// The action, actor, category or outcome that `group_by` selects. It is null for events without an actor.
    group_value: Option<String>,
    /// Number of events.
    event_count: i64,
}

/// Count events
///
/// Counts events by bucket of time, in the calendar of a time zone: days begin at midnight, weeks (`7d`) on Monday. With
/// `group_by`, each bucket is divided by action, actor, category or outcome. The query is itself recorded as an event.
#[utoipa::path(
    get,
    path = "/v1/activity",
    tag = "events",
    params(
        Filters,
        ("bucket" = Option<String>, Query, description = "Length of a bucket, such as 15m, 1h, 7d, 1month or 1year. Default: 1d", example = "1h"),
        ("zone" = Option<String>, Query, description = "Time zone of the IANA database. Default: UTC", example = "Europe/Berlin"),
        ("group_by" = Option<String>, Query, description = "Field to group by: action, actor, category or outcome"),
    ),
    responses(
        (status = 200, description = "The counts", body = Activity),
        (status = 400, description = "missing_workspace, unknown_parameter, repeated_parameter, invalid_value, invalid_range", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
        (status = 504, description = "timeout", body = Envelope),
    ),
)]
async fn count_events(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    principal.require(Right::Query)?;
    let params = Params::parse_with_filters(query.as_deref(), &["bucket", "group_by", "zone"])?;
    let filters = params.filters(&principal)?;
    let (months, seconds) = bucket(&params)?;
    let zone = zone(&params)?;
    let group_by = params.text("group_by");
    let rows = state
        .reads
        .read(|client| {
            let filters = &filters;
            async move {
                let statement = client.prepare_cached(&ACTIVITY).await?;
                let filters = filters.arguments();
                let limit = MOST as i64 + 1;
                let parameters = filters.and(&[&months, &seconds, &group_by, &zone, &limit]);
                Ok(client.query(&statement, &parameters).await?)
            }
        })
        .await?;
    if rows.len() > MOST {
        return Err(ApiError::new(Code::InvalidValue, format!("there are more than {MOST} buckets"))
            .with_hint("Use a longer bucket or a shorter period."));
    }

    let client = state.client().await?;
    let entry = Entry {
        action: AuditAction::EventsQueried,
        workspace: &filters.workspace,
        actor: &principal.actor,
        target: None,
        details: json!({
            "format": "activity", "filters": filters.to_json(), "count": rows.len(),
            "bucket": params.text("bucket").unwrap_or("1d"), "group_by": group_by, "zone": zone,
        }),
        outcome: Outcome::Success,
    };
    audit_trail::record(&client, &context, entry).await?;

    let mut buckets = Vec::with_capacity(rows.len());
    for row in &rows {
        let (bucket_start, group_value, event_count) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        buckets.push(Bucket { bucket_start, group_value, event_count });
    }
    Ok(Json(Activity { buckets }).into_response())
}

/// Returns the length of a bucket in months and in seconds. One of them is zero.
fn bucket(params: &Params) -> Result<(i32, f64), ApiError> {
    let text = params.text("bucket").unwrap_or_default();
    let units = [("months", 1), ("month", 1), ("years", 12), ("year", 12)];
    let number = |(unit, months)| Some((text.strip_suffix(unit)?.trim_end().parse().ok()?, months));
    match units.into_iter().find_map(number) {
        Some((number @ 1..=100, months)) => Ok((number * months, 0.0)),
        _ => Ok((0, params.seconds("bucket")?.unwrap_or(86_400.0))),
    }
}

fn zone(params: &Params) -> Result<&str, ApiError> {
    let name = params.text("zone").unwrap_or("UTC");
    match TimeZone::get(name) {
        Ok(_) => Ok(name),
        Err(_) => Err(ApiError::new(Code::InvalidValue, format!("zone \"{}\" is not a time zone", shorten(name)))
            .with_detail(json!({ "parameter": "zone" }))
            .with_hint("Use a name of the IANA database, such as Europe/Berlin.")),
    }
}

const MOST: usize = 10_000;

static ACTIVITY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT * FROM audit.activity({}, bucket => make_interval(months => $6, secs => $7), group_by => $8, zone => $9) LIMIT $10",
        Filters::ARGUMENTS
    )
});
