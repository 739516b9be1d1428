//! The extension as a database object: installation, rights, guard and dump.

mod access;
mod dump;
mod extension;
mod guard;
mod harness;
