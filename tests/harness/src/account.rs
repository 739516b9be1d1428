//! The operating system user that runs PostgreSQL, which refuses to run as root.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The operating system user that runs servers and their tools.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    ids: Option<(u32, u32)>,
}

impl Account {
    /// Returns the current user. If that is root, returns `postgres` if it exists, else `nobody`.
    pub fn for_servers() -> io::Result<Self> {
        let root = fs::metadata("/proc/self")?.uid() == 0;
        if !root {
            return Ok(Self { ids: None });
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let ids = ids_of(&users, "postgres").or_else(|| ids_of(&users, "nobody"));
        match ids {
            Some(ids) => Ok(Self { ids: Some(ids) }),
            None => Err(io::Error::other(
                "PostgreSQL refuses to run as root, and /etc/passwd has neither `postgres` nor `nobody`",
            )),
        }
    }

    /// Makes the command run as this user.
    pub fn run(&self, command: &mut Command) {
        if let Some((uid, gid)) = self.ids {
            command.uid(uid).gid(gid);
        }
    }

    /// Changes the owner of a file or directory to this user.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        match self.ids {
            Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    /// Returns whether this user may enter every directory down to `path`.
    pub fn reaches(&self, path: &Path) -> bool {
        self.ids.is_none()
            || path.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|m| m.permissions().mode() & 0o005 == 0o005))
    }
}

fn ids_of(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::ids_of;

    #[test]
    fn ids_are_read_from_the_line_of_the_user() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104::/var/lib/postgresql:/bin/bash\n";
        assert_eq!(ids_of(passwd, "postgres"), Some((101, 104)));
        assert_eq!(ids_of(passwd, "post"), None);
    }
}
