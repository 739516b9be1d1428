//! Events that leave the database: rows, filters, CSV and exports.

pub mod csv;
pub mod csv_cell;
pub mod export;
pub mod filters;
pub mod row;
