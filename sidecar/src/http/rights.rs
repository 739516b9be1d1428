//! The table of rights by role. Access checks, errors and the documentation use it.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// The role of a token.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Role that queries.
    Viewer,
    /// Role that queries and exports.
    Auditor,
    /// Role that only appends.
    Writer,
    /// Role that creates viewer links.
    Embedder,
    /// Role with all rights.
    Admin,
}

/// The tokens of a role that have a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// No token.
    No,
    /// Tokens for all workspaces, because the right concerns every workspace.
    AllWorkspaces,
    /// Every token. A token for one workspace has the right in that workspace only.
    Every,
}

/// Defines the rights, one per line: name, grants to viewer, auditor, writer, embedder and admin, and a description. The
/// description completes "a token may …" in errors, and heads a row of the documentation.
macro_rules! rights {
    ($($name:ident = [$viewer:ident, $auditor:ident, $writer:ident, $embedder:ident, $admin:ident], $what:literal;)*) => {
        /// A right that a request needs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Right {
            $(#[doc = $what] $name,)*
        }

        impl Right {
            /// All rights.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the description of the right, such as `query events`.
            pub fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)* }
            }

            /// Returns the grants, in the order of [`Role::ALL`].
            const fn grants(self) -> [Grant; 5] {
                match self {
                    $(Self::$name => [Grant::$viewer, Grant::$auditor, Grant::$writer, Grant::$embedder, Grant::$admin],)*
                }
            }
        }
    };
}

rights! {
    //                 viewer         auditor        writer  embedder  admin
    Query           = [Every,         Every,         No,     No,       Every],         "query events and activity, list packs, or read tiles of a workspace";
    Export          = [No,            Every,         No,     No,       Every],         "stream events as NDJSON or CSV, follow a feed, or make packs";
    Append          = [No,            No,            Every,  No,       Every],         "append events";
    SeeRetention    = [Every,         Every,         No,     No,       Every],         "see retention";
    SetRetention    = [No,            No,            No,     No,       Every],         "set retention";
    SeeLegalHolds   = [No,            Every,         No,     No,       Every],         "see legal holds";
    SetLegalHolds   = [No,            No,            No,     No,       Every],         "place or release legal holds";
    Redact          = [No,            No,            No,     No,       Every],         "redact fields of events";
    LinkViewers     = [No,            No,            No,     Every,    Every],         "create viewer links, or list and end their sessions";
    SeeIntegrity    = [Every,         Every,         No,     No,       Every],         "see the integrity of a workspace on the admin pages";
    Verify          = [No,            No,            No,     No,       Every],         "check the log of a workspace on the admin pages";
    ManageAccess    = [No,            No,            No,     No,       Every],         "manage tokens and sessions on the admin pages";
    SeeStatus       = [AllWorkspaces, AllWorkspaces, No,     No,       AllWorkspaces], "see metrics and status";
    SeeCheckpoints  = [AllWorkspaces, AllWorkspaces, No,     No,       AllWorkspaces], "see checkpoints and tiles of the system log";
    Maintain        = [No,            No,            No,     No,       AllWorkspaces], "run maintenance";
}

impl Right {
    /// Returns the tokens of the role that have the right.
    pub fn grant(self, role: Role) -> Grant {
        self.grants()[role as usize]
    }

    /// Returns the hint of an error: which token to use.
    pub fn hint(self) -> String {
        let roles = |grant| {
            let names = Role::ALL.iter().filter(|role| self.grant(**role) == grant).map(ToString::to_string);
            or(&names.collect::<Vec<_>>())
        };
        match roles(Grant::Every).as_str() {
            "" => format!("Use a token of role {} for all workspaces.", roles(Grant::AllWorkspaces)),
            every => format!("Use a token of role {every}."),
        }
    }
}

impl Role {
    /// All roles, in the order of the table.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Auditor, Self::Writer, Self::Embedder, Self::Admin];
}

impl Grant {
    /// Returns whether a token has the right. `all_workspaces` says whether the token is for all workspaces.
    pub fn covers(self, all_workspaces: bool) -> bool {
        match self {
            Self::No => false,
            Self::AllWorkspaces => all_workspaces,
            Self::Every => true,
        }
    }
}

/// Returns the table in Markdown, without a final line feed.
pub fn markdown() -> String {
    let roles = Role::ALL.map(|role| role.to_string()).join(" | ");
    let mut text = format!("| right | {roles} |\n|---|{}", "---|".repeat(Role::ALL.len()));
    for right in Right::ALL {
        let cells = Role::ALL.map(|role| match right.grant(role) {
            Grant::No => "–",
            Grant::AllWorkspaces => "all",
            Grant::Every => "yes",
        });
        text.push_str(&format!("\n| {} | {} |", right.what(), cells.join(" | ")));
    }
    text
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Writer => "writer",
            Self::Embedder => "embedder",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false)
    }
}

/// Joins names: `a`, `a or b`, `a, b or c`.
fn or(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn each_role_has_its_rights_and_no_others() {
        use Right::{
            Append, Export, LinkViewers, Maintain, ManageAccess, Query, Redact, SeeCheckpoints, SeeIntegrity,
            SeeLegalHolds, SeeRetention, SeeStatus, SetLegalHolds, SetRetention, Verify,
        };
        for (role, all_workspaces, rights) in [
            (Role::Viewer, false, &[Query, SeeRetention, SeeIntegrity][..]),
            (Role::Viewer, true, &[Query, SeeRetention, SeeIntegrity, SeeStatus, SeeCheckpoints]),
            (Role::Auditor, false, &[Query, Export, SeeRetention, SeeLegalHolds, SeeIntegrity]),
            (
                Role::Auditor,
                true,
                &[Query, Export, SeeRetention, SeeLegalHolds, SeeIntegrity, SeeStatus, SeeCheckpoints],
            ),
            (Role::Writer, false, &[Append]),
            (Role::Writer, true, &[Append]),
            (Role::Embedder, false, &[LinkViewers]),
            (Role::Embedder, true, &[LinkViewers]),
            (
                Role::Admin,
                false,
                &[
                    Query,
                    Export,
                    Append,
                    SeeRetention,
                    SetRetention,
                    SeeLegalHolds,
                    SetLegalHolds,
                    Redact,
                    LinkViewers,
                    SeeIntegrity,
                    Verify,
                    ManageAccess,
                ],
            ),
            (
                Role::Admin,
                true,
                &[
                    Query,
                    Export,
                    Append,
                    SeeRetention,
                    SetRetention,
                    SeeLegalHolds,
                    SetLegalHolds,
                    Redact,
                    LinkViewers,
                    SeeIntegrity,
                    Verify,
                    ManageAccess,
                    SeeStatus,
                    SeeCheckpoints,
                    Maintain,
                ],
            ),
        ] {
            for right in Right::ALL {
                let covers = right.grant(role).covers(all_workspaces);
                assert_eq!(covers, rights.contains(right), "{role} {all_workspaces} {right:?}");
            }
        }
    }

    #[test]
    fn hints_name_the_tokens_that_suffice() {
        for (right, hint) in [
            (Right::Query, "Use a token of role viewer, auditor or admin."),
            (Right::SetRetention, "Use a token of role admin."),
            (Right::SeeStatus, "Use a token of role viewer, auditor or admin for all workspaces."),
            (Right::SeeCheckpoints, "Use a token of role viewer, auditor or admin for all workspaces."),
        ] {
            assert_eq!(right.hint(), hint);
        }
    }

    #[test]
    fn the_documentation_has_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut pages = vec![root.join("README.md")];
        pages.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
        pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
        let marked = |page| {
            let text = fs::read_to_string(page).unwrap();
            let (_, rest) = text.split_once("<!-- rights -->")?;
            let (table, _) = rest.split_once("<!-- /rights -->")?;
            Some(table.trim().to_owned())
        };
        let tables: Vec<String> = pages.iter().filter_map(marked).collect();
        assert_eq!(tables, [markdown()], "one page has the table, between <!-- rights --> and <!-- /rights -->");
    }
}
