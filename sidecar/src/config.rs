//! Flags and environment variables. A flag takes precedence over its variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use url::Url;

use crate::text::shorten;

mod embed_origin;
mod proxy_header;
mod witness_address;

pub use embed_origin::EmbedOrigin;
pub use proxy_header::ProxyHeader;
pub use witness_address::WitnessAddress;

/// Format and filter of the sidecar log.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// Format of the sidecar log, which goes to standard error
    #[arg(long, env = "AUDIT_LOG", value_enum, default_value = "text", global = true)]
    pub log: LogFormat,
    /// Filter of the sidecar log: a level, or pairs of target=level separated by commas
    #[arg(long, env = "AUDIT_LOG_FILTER", default_value = "info", global = true)]
    pub log_filter: String,
}

/// Formats of the sidecar log.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// The database, and how the sidecar connects to it.
#[derive(Args, Clone)]
pub struct DatabaseArgs {
    /// Connection string of PostgreSQL, as a URL or as key=value pairs. The role must be a member of audit_sidecar, or of its part for this work
    #[arg(long, env = "AUDIT_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Maximum number of connections to the database
    #[arg(long, env = "AUDIT_POOL_SIZE", default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub pool_size: u16,
    /// Maximum time to wait for a connection
    #[arg(long, env = "AUDIT_CONNECT_TIMEOUT", default_value = "5s", value_parser = duration)]
    pub connect_timeout: Duration,
    /// Maximum time for a query in the database. Exports, and maintenance on the command line, are exempt
    #[arg(long, env = "AUDIT_STATEMENT_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub statement_timeout: Duration,
}

/// Definitions of packs besides the built-in ones.
#[derive(Args, Clone, Debug, Default)]
pub struct PackDefinitionsArgs {
    /// TOML file with definitions of additional packs
    #[arg(long, env = "AUDIT_PACKS", value_name = "FILE")]
    pub packs: Option<PathBuf>,
}

/// The keys that checkpoints are signed with, and the destinations of checkpoints.
#[derive(Args, Clone, Debug, Default)]
pub struct SigningArgs {
    /// Key file to sign checkpoints with. To change to a new key, give both files for a while. You can put the key
    /// itself into AUDIT_SIGNING_KEY instead
    #[arg(long = "signing-key", env = "AUDIT_SIGNING_KEY_FILE", value_delimiter = ',', value_name = "FILE")]
    pub signing_keys: Vec<PathBuf>,
    /// Folder in which the signer stores the last checkpoint. It must not be on the database's disk, and every sidecar
    /// needs its own
    #[arg(long, env = "AUDIT_SIGNING_STATE", value_name = "DIR")]
    pub signing_state: Option<PathBuf>,
    /// Destination for a copy of each checkpoint: a folder, s3://bucket/prefix, gs://… or az://…
    #[arg(long, env = "AUDIT_CHECKPOINT_STORE", value_name = "URL")]
    pub checkpoint_store: Option<String>,
    /// Public key and URL of a witness that cosigns checkpoints, separated by a space. You can repeat this option
    #[arg(long = "witness", env = "AUDIT_WITNESSES", value_delimiter = ',', value_name = "VKEY URL")]
    pub witnesses: Vec<WitnessAddress>,
    /// Number of witnesses that must cosign a checkpoint; default: all
    #[arg(long, env = "AUDIT_WITNESS_QUORUM", value_name = "N")]
    pub witness_quorum: Option<usize>,
}

/// Configuration of `serve`.
#[derive(Args, Clone)]
pub struct ServeArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become help text")]
    pub database: DatabaseArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become help text")]
    pub pack_definitions: PackDefinitionsArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become help text")]
    pub signing: SigningArgs,
    /// Connection string of a replica of the database. Pages, counts and streams of events are read from it. Everything
    /// else needs the primary
    #[arg(long, env = "AUDIT_REPLICA_URL", hide_env_values = true, value_name = "REPLICA_URL")]
    pub replica_url: Option<String>,
    /// Interval between two checkpoints
    #[arg(long, env = "AUDIT_CHECKPOINT_INTERVAL", default_value = "60s", value_parser = duration)]
    pub checkpoint_interval: Duration,
    /// Maximum time for which a pack waits for a checkpoint that covers its period. It must be shorter than the request
    /// time-out
    #[arg(long, env = "AUDIT_PROOF_WAIT", default_value = "45s", value_parser = duration)]
    pub proof_wait: Duration,
    /// Serve checkpoints and tiles of the system log (hashes, no content) without a token
    #[arg(long, env = "AUDIT_PUBLISH_CHECKPOINTS")]
    pub publish_checkpoints: bool,
    /// Address and port to listen on; port 0 selects a free port
    #[arg(long, env = "AUDIT_LISTEN", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Certificate chain of the listener, in PEM. The sidecar then answers HTTPS only. A changed file is read again
    #[arg(long, env = "AUDIT_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM
    #[arg(long, env = "AUDIT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Address at which browsers reach the sidecar: its scheme, host and port
    #[arg(long, env = "AUDIT_PUBLIC_URL", value_name = "URL", value_parser = base_url)]
    pub public_url: Option<Url>,
    /// Origin whose pages may show viewer links in a frame. Browsers accept the cookie in a frame over HTTPS only. You can
    /// repeat this option
    #[arg(long = "embed-origin", env = "AUDIT_EMBED_ORIGINS", value_delimiter = ',', value_name = "ORIGIN")]
    pub embed_origins: Vec<EmbedOrigin>,
    /// TOML file that names the issuers of JWTs, and the proxies that authenticate people
    #[arg(long, env = "AUDIT_IDENTITY_PROVIDERS", value_name = "FILE")]
    pub identity_providers: Option<PathBuf>,
    /// Maximum number of connections of clients. Further ones are closed at once
    #[arg(long, env = "AUDIT_MAX_CONNECTIONS", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_connections: u16,
    /// Maximum size of a request body, in bytes or with a unit such as MB or MiB
    #[arg(long, env = "AUDIT_MAX_BODY", default_value = "64MiB", value_parser = bytes)]
    pub max_body: usize,
    /// Maximum time to answer a request; streams are exempt
    #[arg(long, env = "AUDIT_REQUEST_TIMEOUT", default_value = "60s", value_parser = duration)]
    pub request_timeout: Duration,
    /// Abort a stream if its client reads nothing for this long
    #[arg(long, env = "AUDIT_STALL_TIMEOUT", default_value = "60s", value_parser = duration)]
    pub stall_timeout: Duration,
    /// Maximum number of concurrent exports; default: half the connections
    #[arg(long, env = "AUDIT_MAX_EXPORTS", value_parser = clap::value_parser!(u16).range(1..=500))]
    pub max_exports: Option<u16>,
    /// Maximum time for running requests and exports to complete after SIGTERM or SIGINT
    #[arg(long, env = "AUDIT_SHUTDOWN_TIMEOUT", default_value = "5m", value_parser = duration)]
    pub shutdown_timeout: Duration,
    /// Address of a reverse proxy that is trusted to name the client, and the protocol in X-Forwarded-Proto. You can repeat
    /// this option
    #[arg(long = "trusted-proxy", env = "AUDIT_TRUSTED_PROXIES", value_delimiter = ',', value_name = "IP")]
    pub trusted_proxies: Vec<std::net::IpAddr>,
    /// Header in which the trusted proxies name the client
    #[arg(long, env = "AUDIT_PROXY_HEADER", default_value = "x-forwarded-for", value_name = "HEADER")]
    pub proxy_header: ProxyHeader,
}

/// Parses a length of time such as `30s`, `5m`, `1h 30m`, `90d` or `2w`.
///
/// # Errors
/// Fails with a message for the user who wrote the text.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| {
        format!("\"{}\" is not a length of time ({error}). Write for example 30s, 5m, 12h or 90d", shorten(text))
    })
}

/// Parses the address of a sidecar. The admin pages are at the root of their host.
///
/// # Errors
/// Fails with a message for the user who wrote the text.
pub fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("\"{}\" is not a URL: {error}", shorten(text)))?;
    let is_base = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_base {
        Ok(url)
    } else {
        Err(format!("\"{}\" is not an address such as https://audit.example.com", shorten(text)))
    }
}

/// Parses a size such as `1000`, `10MB` (10,000,000 bytes) or `64MiB` (67,108,864 bytes).
///
/// # Errors
/// Fails if the text is not a size, or if the size is zero or too large.
pub fn bytes(text: &str) -> Result<usize, String> {
    let wrong = |why: &str| {
        format!("\"{}\" is not a size ({why}). Write a number of bytes, or for example 10MB or 64MiB", shorten(text))
    };
    let ByteSize(size) = text.parse().map_err(|error: String| wrong(&error))?;
    match usize::try_from(size) {
        Ok(0) => Err(wrong("it is zero")),
        // The crate parses a number that is too large as the largest one.
        Ok(size) if size <= isize::MAX.unsigned_abs() => Ok(size),
        _ => Err(wrong("it is too large")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, duration};

    #[test]
    fn durations_are_read_and_nonsense_is_refused() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("12h", 43_200), ("90d", 7_776_000), ("2w", 1_209_600)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        for wrong in ["", "s", "10", "-1s", "10 parsecs", "99999999999999999999s", "18446744073709551615w"] {
            let error = duration(wrong).unwrap_err();
            assert!(error.contains(&format!("\"{wrong}\"")) && error.contains("Write for example 30s"), "{error}");
        }
    }

    #[test]
    fn sizes_are_read_and_nonsense_is_refused() {
        for (text, size) in
            [("123", 123), ("64KiB", 65_536), ("64MiB", 64 << 20), ("1GiB", 1 << 30), ("10MB", 10_000_000)]
        {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for wrong in ["", "0", "-1", "MiB", "64 apples", "99999999999999GiB"] {
            let error = bytes(wrong).unwrap_err();
            assert!(error.contains(&format!("\"{wrong}\"")) && error.contains("64MiB"), "{error}");
        }
    }
}
