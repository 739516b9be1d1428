//! Packs with an audit trail: one event before the first byte, and one when the pack has succeeded or failed.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, LazyLock};

use deadpool_postgres::Client;
use serde_json::{Map, json};

use super::definition::Definition;
use super::error::Error;
use super::report::{Progress, Report};
use super::request::{Request, Wait};
use crate::error::{ApiError, Code};
use crate::events::filters::Filters;
use crate::outcome::Outcome;
use crate::postgres::pool::Database;
use crate::service::export_trail::ExportTrail;
use crate::service::request_context::RequestContext;
use crate::text::first_chars;
use crate::time::Time;

/// The origin of a request for a pack.
#[derive(Clone)]
pub struct Asker {
    /// The database.
    pub database: Database,
    /// Request that the pack is made for.
    pub context: RequestContext,
    /// Actor of the events.
    pub actor: String,
    /// How the pack waits for a checkpoint.
    pub wait: Wait,
}

/// A pack whose start has been recorded.
pub struct Job {
    trail: ExportTrail,
    client: Client,
    request: Request,
}

impl Job {
    /// Checks the request and records export_started.
    ///
    /// # Errors
    /// Fails with `invalid_value`, `invalid_range`, `unknown_workspace` for a workspace without events, or other errors
    /// of the database. Nothing is recorded in that case.
    pub async fn start(asker: Asker, definition: Arc<Definition>, filters: Filters) -> Result<Self, ApiError> {
        check_filters(&definition, &filters)?;
        let client = asker.database.client().await?;
        let (since, until) = period(&client, &filters).await?;
        let mut request = Request {
            definition,
            filters: Filters { since: None, until: None, ..filters },
            words: BTreeMap::new(),
            since,
            until,
            exported_by: asker.actor.clone(),
            export_event: 0,
            wait: asker.wait.clone(),
        };
        let trail = asker.trail(&request);
        request.export_event = trail.record_start(&client).await?;
        Ok(Self { trail, client, request })
    }

    /// Returns the request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Writes the pack with [`super::write`] unless `stop` completes first, and records export_finished.
    ///
    /// # Errors
    /// Fails with [`Error`]. The output is then not a complete zip.
    pub async fn run<W: Write + Send + 'static>(
        self,
        out: W,
        stop: impl Future<Output = &'static str>,
        opened: impl FnOnce() + Send,
        progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Report, Error> {
        let Self { trail, client, request } = self;
        let result = tokio::select! {
            result = super::write(client, request.clone(), out, opened, progress) => result,
            why = stop => Err(Error::Stopped(why)),
        };
        let started = request.export_event;
        let (outcome, more) = match &result {
            Ok(Report { events, bytes, sha256, .. }) => {
                (Outcome::Success, json!({ "started": started, "count": events, "bytes": bytes, "sha256": sha256 }))
            }
            Err(Error::Database(error)) => (Outcome::Failure, json!({ "started": started, "error": error.code() })),
            Err(error) => (Outcome::Failure, json!({ "started": started, "error": error.to_string() })),
        };
        trail.record_end_or_log(outcome, more).await;
        result
    }
}

impl Asker {
    /// Returns the content of the events about this pack.
    fn trail(self, request: &Request) -> ExportTrail {
        ExportTrail {
            database: self.database,
            context: self.context,
            actor: self.actor,
            workspace: request.filters.workspace.clone(),
            target: None,
            details: Map::from_iter([
                ("pack".to_owned(), request.definition.name.as_str().into()),
                ("format".to_owned(), "zip".into()),
                ("since".to_owned(), request.since.to_string().into()),
                ("until".to_owned(), request.until.to_string().into()),
                ("filters".to_owned(), request.filters.to_json().into()),
            ]),
        }
    }
}

fn check_filters(definition: &Definition, filters: &Filters) -> Result<(), ApiError> {
    let given = Filters { since: None, until: None, ..filters.clone() }.to_json();
    match given.keys().next() {
        Some(name) if !definition.filters => Err(ApiError::new(
            Code::InvalidValue,
            format!(
                "pack \"{}\" does not accept the filter {name}: it contains all events that its definition selects",
                definition.name.as_str()
            ),
        )
        .with_detail(json!({ "parameter": name }))
        .with_hint("Use the pack \"export\", which accepts filters.")),
        _ => Ok(()),
    }
}

/// Returns the period, which ends now at the latest, once the database has accepted it, the filters and the workspace.
async fn period(client: &Client, filters: &Filters) -> Result<(Time, Time), ApiError> {
    let Some(since) = filters.since else {
        return Err(ApiError::new(Code::InvalidValue, "a pack needs the start of its period")
            .with_detail(json!({ "parameter": "since" }))
            .with_hint("Give since, for instance 2026-01-01. The default of until is now."));
    };
    let statement = client.prepare_cached(WORKSPACE).await?;
    let row = client.query_one(&statement, &[&filters.workspace]).await?;
    let now = row.try_get("now")?;
    // A pack of a period that has not ended could not be complete.
    let until = filters.until.map_or(now, |until| until.min(now));
    let statement = client.prepare_cached(&CHECK).await?;
    let period = Filters { since: Some(since), until: Some(until), ..filters.clone() };
    client.query_one(&statement, &period.arguments().and(&[])).await?;
    if !row.try_get::<_, bool>("known")? {
        let workspace = first_chars(&filters.workspace, 200);
        return Err(ApiError::new(Code::UnknownWorkspace, format!("workspace \"{workspace}\" has no events"))
            .with_hint("Check its name. A pack of a nonexistent workspace would be misleading evidence."));
    }
    Ok((since, until))
}

/// Checks that the workspace exists. Events about queries and exports of the workspace do not count.
const WORKSPACE: &str = "\
    SELECT now() AS now, EXISTS ( \
        SELECT FROM audit.event e \
        WHERE e.workspace = $1 AND e.expires_on >= (now() AT TIME ZONE 'UTC')::date \
              AND e.action <> ALL ('{events_queried,export_started,export_finished}')) AS known";

/// Raises the errors of [`crate::events::export::Export::open`] before anything is recorded.
static CHECK: LazyLock<String> = LazyLock::new(|| format!("SELECT audit.check_filters({})", Filters::ARGUMENTS));
