//! The catalog of actions at the time of a pack: the tags of each action, and how often it occurs.

use std::sync::LazyLock;

use deadpool_postgres::GenericClient;

use super::definition::{Definition, MAX_ACTIONS, Tags};
use super::definitions::Definitions;
use super::manifest::{MAX_UNCLASSIFIED, Unclassified};
use crate::error::{ApiError, Code};
use crate::events::filters::Filters;

/// The actions of the catalog and those of the counted events.
pub struct Catalog(Vec<Action>);

struct Action {
    name: String,
    tags: Vec<String>,
    /// Number of events that match the filters.
    events: u64,
}

impl Catalog {
    /// Reads the catalog, and counts the events that match the filters.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn read(client: &impl GenericClient, filters: &Filters) -> Result<Self, ApiError> {
        let rows = client.query(&*READ, &filters.arguments().and(&[])).await?;
        let action = |row: &tokio_postgres::Row| -> Result<Action, ApiError> {
            let events: i64 = row.try_get(2)?;
            Ok(Action { name: row.try_get(0)?, tags: row.try_get(1)?, events: u64::try_from(events).unwrap_or(0) })
        };
        Ok(Self(rows.iter().map(action).collect::<Result<_, _>>()?))
    }

    /// Returns the definition with all actions of its tags. A built-in action has its built-in tags and no others.
    ///
    /// # Errors
    /// Fails with `invalid_value` if a tag has more than 10,000 actions, which a pack cannot list.
    pub fn resolve(&self, definition: &Definition) -> Result<Definition, ApiError> {
        let mut definition = definition.clone();
        let mut tags = definition.tags.clone();
        for action in self.0.iter().filter(|action| !BUILT_IN.classify(&action.name)) {
            let used = action.tags.iter().filter(|tag| definition.tags.contains(tag));
            used.for_each(|tag| tags.add(tag, &action.name));
        }
        if let Some((tag, actions)) = tags.iter().find(|(_, actions)| actions.len() > MAX_ACTIONS) {
            let text =
                format!("the tag \"{tag}\" has {} actions, and a pack lists at most {MAX_ACTIONS}", actions.len());
            return Err(ApiError::new(Code::InvalidValue, text)
                .with_hint("Choose a shorter period, or register a more specific pattern of actions."));
        }
        definition.tags = tags;
        Ok(definition)
    }

    /// Returns the counted events whose action has no tag.
    pub fn unclassified(&self) -> Unclassified {
        let has_no_tag = |action: &&Action| action.tags.is_empty() && !BUILT_IN.classify(&action.name);
        let mut actions: Vec<&Action> = self.0.iter().filter(|action| action.events > 0).filter(has_no_tag).collect();
        let events = actions.iter().map(|action| action.events).sum();
        actions.sort_by_key(|action| std::cmp::Reverse(action.events));
        actions.truncate(MAX_UNCLASSIFIED);
        Unclassified {
            events,
            actions: actions.into_iter().map(|action| (action.name.clone(), action.events)).collect(),
        }
    }
}

/// The built-in tags. The tests exclude that the built-in file is not valid.
static BUILT_IN: LazyLock<Tags> =
    LazyLock::new(|| Definitions::built_in().map(|built_in| built_in.tags().clone()).unwrap_or_default());

static READ: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT x.action, audit.tags_of(x.action), sum(x.events)::bigint \
         FROM (SELECT a.action, 0 AS events FROM audit.action a WHERE right(a.action, 1) <> '*' \
               UNION ALL \
               SELECT c.action, c.event_count FROM audit.counts_by_action({}) c) x \
         GROUP BY x.action",
        Filters::ARGUMENTS
    )
});
