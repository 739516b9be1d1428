use std::process::{Command, Output};

#[test]
fn packs_are_listed_without_a_database() {
    let output = pack(&["--list"]);
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["access-review", "change-management", "incident-response", "export"] {
        assert!(listed.lines().any(|line| line.split(' ').next() == Some(name)), "{name}: {listed}");
    }
}

#[test]
fn a_pack_needs_a_database() {
    let output = pack(&["access-review", "--workspace", "acme", "--since", "2026-01-01"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("--database-url"), "{error}");
}

fn pack(args: &[&str]) -> Output {
    // A variable of the caller could name a database.
    Command::new(env!("CARGO_BIN_EXE_audit-sidecar")).env_clear().arg("pack").args(args).output().unwrap()
}
