//! What a pack is to hold.

use std::sync::Arc;

use super::definition::Definition;
use super::name;
use crate::events::filters::Filters;
use crate::time::Time;

/// What to put into a pack.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which pack.
    pub definition: Arc<Definition>,
    /// The workspace and the filters; besides these, the definition decides.
    pub filters: Filters,
    /// Events that occurred then or later.
    pub since: Time,
    /// Events that occurred before.
    pub until: Time,
    /// Who asked for it: the actor of the events about it.
    pub exported_by: String,
    /// Id of the event export_started.
    pub export_event: i64,
}

impl Request {
    /// Name of the zip: safe in every file system.
    pub fn file_name(&self) -> String {
        name::file_name(&self.filters.workspace, self.definition.name.as_str(), self.since, self.until)
    }
}
