//! Pages in a real browser.

mod admin;
mod admin_log;
mod admin_looks;
mod api_page;
mod driver;
mod verify_page;
