//! Notes in the database when a token was last used, behind the request that used it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::ApiError;
use crate::postgres::pool::Database;

/// The tokens whose use is being noted. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct TokenUses(Arc<Mutex<HashSet<String>>>);

impl TokenUses {
    /// Notes the use of a token in the background. Requests with the same token that come meanwhile note nothing, so a token
    /// occupies at most one connection. A failure is logged only, because the request itself can be answered.
    pub fn note(&self, database: &Database, token_id: &str) {
        if !self.lock().insert(token_id.to_owned()) {
            return;
        }
        let (uses, database, token_id) = (self.clone(), database.clone(), token_id.to_owned());
        tokio::spawn(async move {
            if let Err(error) = write(&database, &token_id).await {
                tracing::debug!(cause = error.cause(), token = token_id, "the use of a token could not be noted");
            }
            uses.lock().remove(&token_id);
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(database: &Database, token_id: &str) -> Result<(), ApiError> {
    let client = database.client().await?;
    let statement = client.prepare_cached("SELECT audit.note_token_use($1)").await?;
    client.query_one(&statement, &[&token_id]).await?;
    Ok(())
}
