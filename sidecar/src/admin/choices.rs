//! The names that forms offer.

use super::session::Session;
use crate::error::ApiError;
use crate::http::state::AppState;

/// Returns the workspaces that a session can choose. There are none to choose if the session is limited to one.
///
/// # Errors
/// Returns the errors of the database.
pub async fn workspaces(state: &AppState, session: &Session) -> Result<Vec<String>, ApiError> {
    match session.principal.workspace {
        Some(_) => Ok(Vec::new()),
        None => names(state, "SELECT workspace FROM audit.log ORDER BY workspace LIMIT 200").await,
    }
}

/// The actions of a category.
pub struct Group {
    /// The category.
    pub category: String,
    /// The actions, in the order of the alphabet.
    pub actions: Vec<String>,
}

/// Returns the actions of the catalog by category.
///
/// # Errors
/// Returns the errors of the database.
pub async fn actions(state: &AppState) -> Result<Vec<Group>, ApiError> {
    let client = state.client().await?;
    let statement = client.prepare_cached(ACTIONS).await?;
    let rows = client.query(&statement, &[]).await?;
    rows.iter().map(|row| Ok(Group { category: row.try_get(0)?, actions: row.try_get(1)? })).collect()
}

async fn names(state: &AppState, statement: &str) -> Result<Vec<String>, ApiError> {
    let client = state.client().await?;
    let statement = client.prepare_cached(statement).await?;
    client.query(&statement, &[]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// At most 500 actions, so that the form stays small.
const ACTIONS: &str = "SELECT a.category, array_agg(a.action ORDER BY a.action) \
                       FROM (SELECT category, action FROM audit.action ORDER BY category, action LIMIT 500) a \
                       GROUP BY a.category ORDER BY a.category";
