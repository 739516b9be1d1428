//! Capture: triggers that append an event for each row that a statement changes. `audit.capture` creates them (sql/api/capture.sql).

mod plan;
mod row;
mod trigger;
mod values;

pub use plan::watch;
