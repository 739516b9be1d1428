//! Tests that are pure SQL: each script in tests/sql prints what the file .out beside it says.
//!
//! A script runs on a new database, as the superuser. As in PostgreSQL's own regression tests, psql repeats each statement
//! before its result. Errors come with their SQLSTATE, and without the place in the server's source.
//!
//! `AUDIT_UPDATE=1` writes the files .out anew.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use audit_harness::database::Database;
use similar::TextDiff;

use crate::psql::psql;

#[test]
fn scripts_print_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql");
    let mut scripts: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut differences = String::new();
    for script in scripts {
        let printed = run(&script);
        let out = script.with_extension("out");
        if env::var_os("AUDIT_UPDATE").is_some() {
            fs::write(&out, &printed).unwrap();
        }
        let expected = fs::read_to_string(&out).unwrap_or_default();
        let name = out.file_name().unwrap().to_string_lossy();
        differences += &TextDiff::from_lines(&expected, &printed).unified_diff().header(&name, "printed").to_string();
    }
    assert!(differences.is_empty(), "\n{differences}\nIf this is right: AUDIT_UPDATE=1 make test T=scripts_print");
}

/// What psql prints for the script.
fn run(script: &Path) -> String {
    let sql = fs::read_to_string(script).unwrap();
    let printed = psql(&Database::new(), &["-a", "-v", "VERBOSITY=verbose", "-v", "SHOW_CONTEXT=never"], &sql);
    printed.lines().filter(|line| !line.starts_with("LOCATION:")).map(|line| format!("{line}\n")).collect()
}
