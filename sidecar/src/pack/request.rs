//! The request for a pack.

use std::sync::Arc;

use super::definition::Definition;
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
    /// Start of the period.
    pub since: Time,
    /// End of the period, not included.
    pub until: Time,
    /// Actor of the events about the pack.
    pub exported_by: String,
    /// Id of the event export_started.
    pub export_event: i64,
}

impl Request {
    /// Returns the name of the zip, which is safe in every file system.
    pub fn file_name(&self) -> String {
        name::file_name(&self.filters.workspace, self.definition.name.as_str(), self.since, self.until)
    }
}
