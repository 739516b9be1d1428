//! Scripts for psql, and what it prints.

use std::io::{Read, Seek, Write, pipe};

use audit_harness::database::Database;

/// What psql prints for a script that the superuser runs: results and errors in their order, without spaces at the ends
/// of lines. The time zone is UTC.
pub fn psql(db: &Database, options: &[&str], script: &str) -> String {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(script.as_bytes()).unwrap();
    input.rewind().unwrap();
    let (mut output, writer) = pipe().unwrap();
    let mut command = db.cluster().command("psql");
    command.args(["-X", "-q", "-d", db.name()]).args(options).env("PGTZ", "UTC");
    let mut child = command.stdin(input).stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    // It holds the other end of the pipe.
    drop(command);
    let mut printed = String::new();
    output.read_to_string(&mut printed).unwrap();
    child.wait().unwrap();
    printed.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
