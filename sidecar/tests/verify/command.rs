//! The command: its exit status, its options and its output.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::vectors::{find, index_key, log_key, witness_key};

fn run(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    run_in(home.path(), arguments)
}

fn run_in(home: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-sidecar"));
    command.args(arguments).env("HOME", home).env_remove("XDG_CONFIG_HOME").output().unwrap()
}

/// Returns the exit status of `verify` with the key of the log.
fn status(name: &str, options: &[&str]) -> Option<i32> {
    let (path, key) = (find(name).path, log_key().encoded());
    let arguments = [&["verify", path.to_str().unwrap(), "--key", &key], options].concat();
    run(&arguments).status.code()
}

#[test]
fn the_exit_status_tells_what_a_script_needs() {
    assert_eq!(status("access-review", &[]), Some(0));
    assert_eq!(status("access-review", &["--require", "complete"]), Some(0));
    assert_eq!(status("filters", &[]), Some(0));
    assert_eq!(status("filters", &["--require", "complete"]), Some(1));
    assert_eq!(status("root-details", &["--allow-removed", "--allow-early-end", "--unsigned"]), Some(1));
    assert_eq!(status("removed-no-record", &[]), Some(1));
    assert_eq!(status("removed-no-record", &["--allow-early-end"]), Some(1));
    assert_eq!(status("removed-no-record", &["--allow-removed"]), Some(0));
    assert_eq!(status("head-too-early", &[]), Some(1));
    assert_eq!(status("head-too-early", &["--allow-removed"]), Some(1));
    assert_eq!(status("head-too-early", &["--allow-early-end", "--require", "complete"]), Some(0));
    assert_eq!(status("unproven", &[]), Some(1));
    assert_eq!(status("unproven", &["--unsigned"]), Some(0));
    assert_eq!(status("access-review", &["--witness", &witness_key().encoded()]), Some(0));
    assert_eq!(status("access-review", &["--trust", "nobody"]), Some(2));
    assert_eq!(status("access-review", &["--witness", &log_key().encoded()]), Some(2));
    assert_eq!(status("access-review", &["--key", &witness_key().encoded()]), Some(2));
}

#[test]
fn a_key_from_the_pack_is_not_confirmed() {
    let path = find("access-review").path;
    let path = path.to_str().unwrap();
    let output = run(&["verify", path]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("COMPLETE (KEY NOT CONFIRMED)  ") && text.contains(&log_key().encoded()), "{text}");
    assert!(text.contains("Compare this key with one that you got elsewhere"), "{text}");

    let home = tempfile::tempdir().unwrap();
    let trusted = |arguments: &[&str]| run_in(home.path(), arguments);
    assert!(trusted(&["key", "trust", "stranger", &index_key("stranger")]).status.success());
    assert_eq!(trusted(&["verify", path]).status.code(), Some(3));
    assert_eq!(trusted(&["verify", path, "--trust", "stranger"]).status.code(), Some(1));
    assert!(trusted(&["key", "trust", "example", &log_key().encoded()]).status.success());
    let known = trusted(&["verify", path]);
    assert_eq!(known.status.code(), Some(0));
    assert!(String::from_utf8(known.stdout).unwrap().contains("You know this key as\n    \"example\""));
    assert_eq!(trusted(&["verify", path, "--trust", "example"]).status.code(), Some(0));
    assert!(!trusted(&["key", "trust", "with space", &log_key().encoded()]).status.success());
    assert!(!trusted(&["key", "trust", "witness", &witness_key().encoded()]).status.success());
}

#[test]
fn several_packs_have_a_report_each() {
    let paths = ["access-review", "root-details", "access-review"].map(|name| find(name).path);
    let paths = paths.each_ref().map(|path| path.to_str().unwrap());
    let key = log_key().encoded();
    let output = run(&[&["verify", "--json", "--key", &key], &paths[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let reports: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let results: Vec<&str> = reports.iter().map(|report| report["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["COMPLETE", "INVALID", "COMPLETE"]);
    assert_eq!((&reports[0]["exit_status"], &reports[1]["exit_status"]), (&0.into(), &1.into()));
    assert_eq!(reports[0]["file"], paths[0]);

    let output = run(&["verify", "--key", &key, paths[1], "/nonexistent/pack.zip"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(&format!("\"{}\"\nINVALID  ", paths[1])), "{text}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("\"/nonexistent/pack.zip\" cannot be checked"));
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let pack = find("access-review").path.display().to_string();
    for arguments in [&["verify", &pack][..], &["verify", "--json", &pack], &["pack", "--list"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-sidecar"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}

#[test]
fn a_file_cannot_pass_for_an_option() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(find("unproven").path, folder.path().join("pack.zip")).unwrap();
    std::fs::write(folder.path().join("--unsigned"), "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-sidecar"));
    let output = command.args(["verify", "--unsigned", "pack.zip"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the name of an option"));
}
