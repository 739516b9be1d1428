//! Sets `since_pg16` and the like: whether the extension is built for that major version of PostgreSQL, or for a later one.

use std::env;

/// The versions in which something changed that the extension uses. Only `pg/compat.rs` asks for them.
const CHANGES: [u32; 3] = [16, 17, 18];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The macros of pgrx ask for its oldest versions in the crate that uses them.
    println!("cargo::rustc-check-cfg=cfg(feature, values(\"pg13\", \"pg14\"))");
    let version = (15..=18).find(|major| env::var_os(format!("CARGO_FEATURE_PG{major}")).is_some());
    for change in CHANGES {
        println!("cargo::rustc-check-cfg=cfg(since_pg{change})");
        if version.is_some_and(|version| version >= change) {
            println!("cargo::rustc-cfg=since_pg{change}");
        }
    }
}
