//! Pages in a real browser.

mod api_page;
mod driver;
mod verify_page;
