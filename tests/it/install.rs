//! The extension as a database object: installation, rights, guard and dump.

mod access;
mod columns;
mod dump;
mod extension;
mod foreign_settings;
mod guard;
mod guard_hooks;
mod guard_names;
mod harness;
mod hostile;
mod locale;
mod other_tool;
mod pgaudit;
mod public_schema;
mod replication;
mod role_names;
mod sidecar_version;
mod stub;
mod upgrade;
mod workspaces;
