//! The contract with clients and operators: the OpenAPI document and the help of every command, as committed snapshots.

mod help;
mod openapi;
mod pack_list;
