//! The extension as a database object: install, rights, guard, dump.

mod access;
mod dump;
mod extension;
mod guard;
mod harness;
