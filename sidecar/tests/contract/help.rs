use std::process::Command;

use audit_sidecar::cli::Cli;
use clap::CommandFactory;

#[test]
fn the_help_of_every_command_is_the_agreed_one() {
    let root = Cli::command();
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("help", help(&[]));
        for command in root.get_subcommands() {
            insta::assert_snapshot!(format!("help_{}", command.get_name()), help_below(command, &[]));
        }
    });
}

/// Returns the help of a command and of all its subcommands.
fn help_below(command: &clap::Command, above: &[&str]) -> String {
    let path = [above, &[command.get_name()]].concat();
    let mut text = format!("$ audit-sidecar {} --help\n{}", path.join(" "), help(&path));
    for below in command.get_subcommands() {
        text.push('\n');
        text.push_str(&help_below(below, &path));
    }
    text
}

fn help(path: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_audit-sidecar"));
    // The help would show the values of variables that are set.
    let output = program.env_clear().args(path).arg("--help").output().unwrap();
    assert!(output.status.success(), "{path:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
