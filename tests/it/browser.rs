//! Pages in a real browser.

mod driver;
mod verify_page;
