//! Pages in a real browser.

mod admin;
mod admin_accessibility;
mod admin_evidence;
mod admin_log;
mod admin_looks;
mod admin_manage;
mod api_page;
mod driver;
mod single_sign_on;
mod verify_page;
mod viewer_frame;
