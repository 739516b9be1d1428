//! What the documents say is so.

mod sql_reference;
