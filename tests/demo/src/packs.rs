//! The three evidence packs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use audit_harness::sidecar::Sidecar;

use crate::cast::WORKSPACES;
use crate::history::days_ago;
use crate::screen::Screen;

const PACKS: [&str; 3] = ["access-review", "change-management", "incident-response"];

/// Exports each pack for the largest workspace and the last 13 months into `directory`, and returns the files.
///
/// The period ends at `until`, and a checkpoint must have been signed since.
pub fn export(sidecar: &Sidecar, directory: &Path, until: &str, screen: &Screen) -> Result<Vec<PathBuf>> {
    for old in files(directory)? {
        fs::remove_file(old)?;
    }
    for pack in PACKS {
        screen.step(&format!("Exporting pack {pack}"), || {
            let since = days_ago(395);
            let output = sidecar.run(&[
                "pack",
                pack,
                "--workspace",
                WORKSPACES[0].name,
                "--since",
                &since,
                "--until",
                until,
                "-o",
                &directory.display().to_string(),
            ]);
            if !output.status.success() {
                bail!("audit-sidecar pack {pack} failed:\n{}", String::from_utf8_lossy(&output.stderr));
            }
            Ok(())
        })?;
    }
    files(directory)
}

/// Verifies each pack offline and returns the first two lines of its report.
pub fn verify(sidecar: &Sidecar, files: &[PathBuf], key: &str, screen: &Screen) -> Result<Vec<String>> {
    screen.step("Verifying the packs", || {
        files
            .iter()
            .map(|file| {
                let output = sidecar.run(&["verify", &file.display().to_string(), "--key", key]);
                let report = String::from_utf8_lossy(&output.stdout);
                if !output.status.success() {
                    bail!("{}: {report}{}", file.display(), String::from_utf8_lossy(&output.stderr));
                }
                Ok(report.lines().take(2).collect::<Vec<_>>().join("\n    "))
            })
            .collect()
    })
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "zip") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
