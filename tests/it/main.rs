//! All integration tests, in one program: one cluster, one link.

mod append;
mod install;
mod log;
mod pack;
mod query;
mod real_input;
mod rest;
mod retention;
mod support;
