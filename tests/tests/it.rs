//! All integration tests, in one program: one cluster, one link.

mod it {
    mod access;
    mod append;
    mod archive;
    mod attacks;
    mod bad_input;
    mod batch;
    mod catalog;
    mod checkpoint;
    mod context;
    mod direct_insert;
    mod dump;
    mod guard;
    mod harness;
    mod http;
    mod idempotency;
    mod import;
    mod install;
    mod logs;
    mod maintenance;
    mod masking;
    mod model;
    mod pack_proof;
    mod pages;
    mod partitions;
    mod query;
    mod read_only;
    mod real_input;
    mod redaction;
    mod rest_bad_input;
    mod rest_retention;
    mod retention;
    mod retention_model;
    mod seal;
    mod seal_sequences;
    mod session_settings;
    mod support;
}
