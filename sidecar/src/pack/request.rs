//! The request for a pack.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::definition::Definition;
use super::manifest::Values;
use super::name;
use crate::events::filters::Filters;
use crate::time::Time;

/// The request for a pack.
#[derive(Clone, Debug)]
pub struct Request {
    /// Definition of the pack.
    pub definition: Arc<Definition>,
    /// The workspace, and filters in addition to the definition.
    pub filters: Filters,
    /// What else narrows the pack, in words: further entries of `filters` in the manifest.
    pub words: BTreeMap<String, Values>,
    /// Start of the period.
    pub since: Time,
    /// End of the period, not included.
    pub until: Time,
    /// Actor of the events about the pack.
    pub exported_by: String,
    /// Id of the event export_started.
    pub export_event: i64,
    /// How the pack waits for a checkpoint that covers its period.
    pub wait: Wait,
}

/// How a pack waits for a checkpoint that covers its period.
#[derive(Clone, Debug, Default)]
pub struct Wait {
    /// Maximum time. Zero means that the pack does not wait.
    pub limit: Duration,
    /// Asks the signer of this process for a checkpoint.
    pub signer: Option<Arc<Notify>>,
    /// Is called once with the maximum time, if the pack has to wait.
    pub told: Option<fn(Duration)>,
}

impl Request {
    /// Returns the filters with the period.
    pub fn all_filters(&self) -> Filters {
        Filters { since: Some(self.since), until: Some(self.until), ..self.filters.clone() }
    }

    /// Returns the filters in addition to the workspace and the period, and the words.
    pub fn filter_values(&self) -> BTreeMap<String, Values> {
        let values = self.filters.fields.iter().map(|(name, values)| match values {
            [value] => (name.to_owned(), Values::One(value.clone())),
            values => (name.to_owned(), Values::Several(values.to_vec())),
        });
        let details = self.filters.details.iter().map(|text| ("details".to_owned(), Values::One(text.clone())));
        values.chain(details).chain(self.words.clone()).collect()
    }

    /// Returns the name of the zip, which is safe in every file system.
    pub fn file_name(&self) -> String {
        name::file_name(&self.filters, self.definition.name.as_str(), self.since, self.until)
    }
}
