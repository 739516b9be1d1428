//! The admin pages: HTML for people, below `/admin`. They work without scripts.

mod assets;
mod attempts;
mod choices;
mod cookie;
mod errors;
mod event;
mod evidence;
mod json;
mod layout;
mod log;
mod login;
mod origin;
mod query;
mod router;
mod session;
mod view;

pub use router::router;
