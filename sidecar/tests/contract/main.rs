//! What clients and operators rely on: the OpenAPI document and the help of every command, as committed snapshots.

mod help;
mod openapi;
