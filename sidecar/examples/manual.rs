//! Writes the manual pages and shell completions of `audit-sidecar` into a directory: `man1/`, `bash/`, `zsh/` and `fish/`.

use std::path::PathBuf;
use std::{env, fs, io};

use clap::CommandFactory;
use clap_complete::Shell;

use audit_sidecar::cli::Cli;

const NAME: &str = "audit-sidecar";

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("usage: manual DIR"))?;
    let pages = directory.join("man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(Cli::command().name(NAME), &pages)?;
    for (shell, folder) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let folder = directory.join(folder);
        fs::create_dir_all(&folder)?;
        clap_complete::generate_to(shell, &mut Cli::command(), NAME, &folder)?;
    }
    Ok(())
}
