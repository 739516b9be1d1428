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

/// Returns the actions of the catalog.
///
/// # Errors
/// Returns the errors of the database.
pub async fn actions(state: &AppState) -> Result<Vec<String>, ApiError> {
    names(state, "SELECT action FROM audit.action ORDER BY action LIMIT 500").await
}

async fn names(state: &AppState, statement: &str) -> Result<Vec<String>, ApiError> {
    let client = state.client().await?;
    let statement = client.prepare_cached(statement).await?;
    client.query(&statement, &[]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
