//! The versions of the extension that this sidecar works with.
//!
//! A sidecar and an extension go together if the first two numbers of their versions are equal. A release that changes only the third
//! number changes nothing that both sides share.

use deadpool_postgres::Client;

use crate::error::ApiError;

/// The version of this sidecar.
pub const OWN: &str = env!("CARGO_PKG_VERSION");

/// Returns the version of the extension in the database. Returns none if the extension is not installed.
///
/// # Errors
/// Returns the errors of the database.
pub async fn of_extension(client: Client) -> Result<Option<String>, ApiError> {
    let row =
        client.query_opt("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'audit_log'", &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Returns the problem, and what an operator must do, if this sidecar does not go with an extension of that version.
pub fn mismatch(extension: &str) -> Option<String> {
    compare(OWN, extension)
}

fn compare(sidecar: &str, extension: &str) -> Option<String> {
    let (own, wanted) = (series(sidecar), series(extension));
    if own == wanted {
        return None;
    }
    let action = match (own, wanted) {
        (Some(own), Some(wanted)) if own > wanted => {
            "install the library of the sidecar's version on the server, restart the server, and run ALTER EXTENSION audit_log UPDATE; \
             or install a sidecar of the extension's version"
        }
        _ => "install a sidecar of the extension's version",
    };
    Some(format!(
        "the extension in the database has version {extension}, but this sidecar has version {sidecar}: {action}"
    ))
}

/// Returns the major and the minor number of a version.
fn series(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn the_third_number_may_differ() {
        for extension in ["0.1.0", "0.1.9", "0.1.10-rc1"] {
            assert_eq!(compare("0.1.2", extension), None, "{extension}");
        }
    }

    #[test]
    fn the_advice_depends_on_which_side_is_older() {
        for (extension, advice) in
            [("0.1.9", "ALTER EXTENSION"), ("0.3.0", ": install a sidecar"), ("1.2.0", ": install a sidecar")]
        {
            let problem = compare("0.2.0", extension).unwrap();
            assert!(problem.contains(advice) && problem.contains(extension), "{problem}");
        }
        assert!(compare("0.10.0", "0.9.0").unwrap().contains("ALTER EXTENSION"));
        assert!(compare("0.1.0", "next").is_some());
    }
}
