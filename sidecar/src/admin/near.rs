//! Names that events have and that resemble a name that none has. Filters match exactly, so a reader needs the exact name.

use std::sync::LazyLock;

use tokio_postgres::Row;

use crate::error::ApiError;
use crate::events::filters::Filters;
use crate::http::auth::Principal;
use crate::http::state::AppState;

/// The most frequent names among the newest events of a workspace that a person sees, so that the cost of reading them is bounded. Each has its
/// field.
pub struct Names(Vec<(String, String)>);

impl Names {
    /// Reads the names.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn read(state: &AppState, principal: &Principal, workspace: &str) -> Result<Self, ApiError> {
        let filters = Filters { fields: principal.fields(), ..Filters::everything(workspace) };
        let statement: &str = &TOP;
        let parameters = filters.arguments();
        let rows = state.reads.client().await?.query(statement, &parameters.and(&[&MOST_EVENTS, &MOST_VALUES])).await?;
        let name = |row: &Row| -> Result<_, ApiError> { Ok((row.try_get(0)?, row.try_get(1)?)) };
        Ok(Self(rows.iter().map(name).collect::<Result<_, _>>()?))
    }

    /// Returns at most five values of a field that resemble a text, the most similar first.
    pub fn near(&self, field: &str, wanted: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(of, _)| of == field).map(|(_, value)| value);
        let mut found: Vec<_> = values.filter_map(|value| Some((distance(wanted, value)?, value))).collect();
        // The sort is stable, so more frequent values stay before others that are as similar.
        found.sort_by_key(|(distance, _)| *distance);
        found.into_iter().take(SHOWN).map(|(_, value)| value.clone()).collect()
    }
}

/// Returns how far a value is from a text: 0 if they differ in case only, and none if they have nothing in common.
fn distance(wanted: &str, value: &str) -> Option<u8> {
    let wanted = wanted.trim().trim_end_matches('*').to_lowercase();
    let value = value.to_lowercase();
    if wanted.is_empty() {
        return None;
    }
    // The text before a colon is a kind, which many names share.
    let name = |text: &str| text.split_once(':').map_or_else(|| text.to_owned(), |(_, name)| name.to_owned());
    let (short, long) = (name(&wanted), name(&value));
    let common = short.chars().zip(long.chars()).take_while(|(a, b)| a == b).count();
    match () {
        () if value == wanted => Some(0),
        () if value.starts_with(&wanted) => Some(1),
        () if !short.is_empty() && (long == short || value.contains(&wanted)) => Some(2),
        () if !short.is_empty() && long.contains(&short) => Some(3),
        () if common >= COMMON && common * 2 >= short.chars().count() => Some(4),
        () => None,
    }
}

const SHOWN: usize = 5;

/// Characters that two names have in common at their beginning at least.
const COMMON: usize = 3;

const MOST_EVENTS: i32 = 10_000;

const MOST_VALUES: i32 = 1_000;

static TOP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT t.field, t.value FROM audit.top_values({}, max_events => $6, max_values => $7) t",
        Filters::ARGUMENTS
    )
});

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn similar_names_are_near() {
        let near = |wanted| distance(wanted, "customer:lakeside");
        assert_eq!(near("Customer:Lakeside"), Some(0));
        assert_eq!(near("customer:lake*"), Some(1));
        assert_eq!([near("lakeside"), near("user:lakeside")], [Some(2), Some(2)]);
        assert_eq!(near("customer:side"), Some(3));
        assert_eq!(near("customer:lakeshore"), Some(4));
        assert_eq!(
            [near("customer:northgate"), near("customer:"), near("*"), near("la-la-la")],
            [None, Some(1), None, None]
        );
    }
}
