//! The preview of a pack: the number of its events by action, and the events of the period that no named pack holds.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::json;

use crate::admin::session::Session;
use crate::admin::view;
use crate::error::ApiError;
use crate::events::filters::Filters;
use crate::http::events::page;
use crate::http::state::AppState;
use crate::pack::Catalog;
use crate::pack::definition::Definition;
use crate::service::request_context::RequestContext;

/// The content of a pack that is not made yet.
pub struct Preview {
    pub title: String,
    pub workspace: String,
    /// Number of events of the pack.
    pub total: String,
    /// The events of the pack.
    pub held: Vec<Line>,
    /// Number of events of the period that are in no named pack.
    pub elsewhere_total: String,
    /// The events of the period that are in no named pack.
    pub elsewhere: Vec<Line>,
}

/// The events of an action.
pub struct Line {
    pub action: String,
    pub category: String,
    pub events: String,
    /// How many of them failed or were denied, in words, or nothing.
    pub refused: String,
}

/// Numbers by outcome.
#[derive(Default)]
struct Counts {
    all: i64,
    failure: i64,
    denied: i64,
}

/// Counts the events that the pack would hold, and records the query.
///
/// # Errors
/// Returns the errors of the database.
pub async fn preview(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
    definition: &Definition,
    filters: &Filters,
) -> Result<Preview, ApiError> {
    let rows = state
        .database
        .read(|client| async move {
            let statement = client.prepare_cached(&COUNTS).await?;
            Ok(client.query(&statement, &filters.arguments().and(&[])).await?)
        })
        .await?;
    let catalog = state.database.read(|client| async move { Catalog::read(&client, filters).await }).await?;
    let definition = &catalog.resolve(definition)?;
    let named = state.packs.iter().filter(|pack| !pack.include.is_empty());
    let named = named.map(|pack| catalog.resolve(pack)).collect::<Result<Vec<_>, _>>()?;
    let (mut held, mut elsewhere) = (BTreeMap::new(), BTreeMap::new());
    for row in &rows {
        let (category, action, outcome, count): (String, String, String, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let add = |list: &mut BTreeMap<(String, String), Counts>| {
            let counts = list.entry((category.clone(), action.clone())).or_default();
            counts.all += count;
            match outcome.as_str() {
                "failure" => counts.failure += count,
                "denied" => counts.denied += count,
                _ => (),
            }
        };
        if definition.includes(&action, &category, &outcome) {
            add(&mut held);
        }
        if !named.iter().any(|pack| pack.includes(&action, &category, &outcome)) {
            add(&mut elsewhere);
        }
    }
    let total = |list: &BTreeMap<_, Counts>| list.values().map(|counts| counts.all).sum::<i64>();
    let details = json!({
        "format": "preview", "pack": definition.name.as_str(), "filters": filters.to_json(), "count": total(&held),
    });
    page::record(state, &session.principal, context, &filters.workspace, details).await?;
    Ok(Preview {
        title: definition.title.clone(),
        workspace: view::shown(&filters.workspace, view::CELL),
        total: view::grouped(total(&held)),
        held: lines(held),
        elsewhere_total: view::grouped(total(&elsewhere)),
        elsewhere: lines(elsewhere),
    })
}

fn lines(list: BTreeMap<(String, String), Counts>) -> Vec<Line> {
    let line = |((category, action), counts): ((String, String), Counts)| {
        let part = |count: i64, word: &str| (count > 0).then(|| format!("{} {word}", view::grouped(count)));
        let refused = [part(counts.failure, "failed"), part(counts.denied, "denied")];
        Line {
            action: view::shown(&action, view::CELL),
            category,
            events: view::grouped(counts.all),
            refused: refused.into_iter().flatten().collect::<Vec<_>>().join(", "),
        }
    };
    list.into_iter().map(line).take(MOST_LINES).collect()
}

/// Actions of a list.
const MOST_LINES: usize = 200;

static COUNTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT * FROM audit.counts_by_action({})", Filters::ARGUMENTS));
