//! The admin pages: HTML for people, below `/admin`. They work without scripts, which only add comfort.

mod access;
mod assets;
mod attempts;
mod choices;
mod cookie;
mod count;
mod diff;
mod errors;
mod event;
mod evidence;
mod exports;
mod follows;
mod form;
mod integrity;
mod json;
mod layout;
mod link;
mod log;
mod login;
mod near;
mod origin;
mod period;
mod problem;
mod protection;
mod query;
mod retention;
mod router;
mod session;
mod single_sign_on;
mod tree;
mod view;
mod zone;

pub use router::router;
