//! Tests of the sidecar over HTTP.

mod admin;
mod admin_access;
mod admin_forms;
mod admin_integrity;
mod admin_link;
mod admin_retention;
pub mod bad_input;
mod conflict;
mod docs;
mod encoding;
mod feed;
mod feed_model;
mod filters;
pub mod http;
mod identity;
mod issuer;
mod least_privilege;
mod limits;
mod listener;
mod openapi;
mod pooler;
mod replica;
mod retention;
mod rights;
mod single_sign_on;
mod tls;
mod viewer_links;
