//! All integration tests in one program, so that they share a cluster and are linked once.

mod append;
mod browser;
mod docs;
mod install;
mod log;
mod pack;
mod psql;
mod query;
mod real_input;
mod rest;
mod retention;
mod sql;
mod support;
mod workers;
