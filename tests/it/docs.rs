//! What the documents say is so.

mod recipes;
mod sql_reference;
