//! TLS to PostgreSQL, as libpq's parameters `sslmode`, `sslrootcert`, `sslcert` and `sslkey` describe it
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{Config, config::Host};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection_string::{self, Parameters};

/// Parameters of a connection string that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection string cannot be parsed. The error does not show it, because it may contain a password.
    #[error("the connection string is not valid: {0}")]
    Invalid(String),
    /// The value of `sslmode` is unknown.
    #[error("sslmode is \"{0}\", but it must be disable, prefer, require, verify-ca or verify-full")]
    Mode(String),
    /// The mode needs a certificate to verify the server with.
    #[error(
        "sslmode={0} needs sslrootcert: the PEM file of the certificate authority of the server, or \"system\" for the \
         authorities of the operating system"
    )]
    NoRoot(&'static str),
    /// Client certificate and key are not given together.
    #[error("sslcert and sslkey must be given together")]
    HalfAnIdentity,
    /// A file cannot be used.
    #[error("the file of {parameter}, {}, cannot be used: {reason}", path.display())]
    File {
        /// The parameter of the connection string.
        parameter: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The parameters do not make a TLS configuration.
    #[error("TLS to the database cannot be set up")]
    Tls(#[from] TlsError),
}

/// Parses a connection string. Returns the configuration, and the connector for its connections.
///
/// # Errors
/// Fails if the string is not valid, or if one of its files cannot be used.
pub fn parse(text: &str) -> Result<(Config, MakeRustlsConnect), Error> {
    let (rest, parameters) =
        connection_string::take(text, &["sslmode", "sslrootcert", "sslcert", "sslkey"]).map_err(Error::Invalid)?;
    let mut config: Config = rest.parse().map_err(|error: tokio_postgres::Error| {
        Error::Invalid(std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
    })?;
    let mode = Mode::of(&parameters)?;
    let is_local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    // Nobody can listen on a Unix socket in between, and PostgreSQL offers no TLS there.
    config.ssl_mode(match mode {
        Mode::Disable => SslMode::Disable,
        Mode::Prefer if is_local => SslMode::Disable,
        Mode::Prefer => SslMode::Prefer,
        _ => SslMode::Require,
    });
    let mut tls = client_config(mode, &parameters)?;
    if config.get_ssl_negotiation() == SslNegotiation::Direct {
        tls.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok((config, MakeRustlsConnect::new(tls)))
}

/// The values of `sslmode`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    fn of(parameters: &Parameters) -> Result<Mode, Error> {
        let is_system = parameters.get("sslrootcert").is_some_and(|root| root == SYSTEM);
        Ok(match parameters.get("sslmode").map(String::as_str) {
            None if is_system => Mode::VerifyFull,
            Some("disable") => Mode::Disable,
            None | Some("allow" | "prefer") => Mode::Prefer,
            // With a root certificate, libpq verifies it in this mode, too.
            Some("require") if parameters.contains_key("sslrootcert") => Mode::VerifyCa,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(other) => return Err(Error::Mode(other.to_owned())),
        })
    }
}

/// The value of `sslrootcert` for the authorities of the operating system.
const SYSTEM: &str = "system";

fn client_config(mode: Mode, parameters: &Parameters) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let lenient = |chain| Arc::new(Lenient { chain, algorithms: provider.signature_verification_algorithms });
    let verifier: Arc<dyn ServerCertVerifier> = match mode {
        Mode::Disable | Mode::Prefer | Mode::Require => lenient(None),
        Mode::VerifyCa => lenient(Some(chain(&provider, "verify-ca", parameters)?)),
        Mode::VerifyFull => chain(&provider, "verify-full", parameters)?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match (parameters.get("sslcert"), parameters.get("sslkey")) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificates), Some(key)) => {
            let key = read("sslkey", key, |path| PrivateKeyDer::from_pem_file(path))?;
            builder.with_client_auth_cert(certificates_of("sslcert", certificates)?, key)?
        }
        _ => return Err(Error::HalfAnIdentity),
    })
}

/// Returns a verifier of the chain of certificates and of the name of the server.
fn chain(
    provider: &Arc<CryptoProvider>,
    mode: &'static str,
    parameters: &Parameters,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let path = parameters.get("sslrootcert").ok_or(Error::NoRoot(mode))?;
    let certificates = if path == SYSTEM {
        rustls_native_certs::load_native_certs().certs
    } else {
        certificates_of("sslrootcert", path)?
    };
    let failed = |reason: String| Error::File { parameter: "sslrootcert", path: path.into(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        match roots.add(certificate) {
            // The operating system may have certificates that are of no use.
            Err(error) if path != SYSTEM => return Err(failed(error.to_string())),
            _ => {}
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| failed(error.to_string()))
}

fn certificates_of(parameter: &'static str, path: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates =
        read(parameter, path, |path| CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>())?;
    if certificates.is_empty() {
        let reason = "it has no certificate in PEM".to_owned();
        return Err(Error::File { parameter, path: path.into(), reason });
    }
    Ok(certificates)
}

fn read<T>(
    parameter: &'static str,
    path: &str,
    read: impl FnOnce(&Path) -> Result<T, rustls::pki_types::pem::Error>,
) -> Result<T, Error> {
    read(Path::new(path)).map_err(|error| Error::File { parameter, path: path.into(), reason: error.to_string() })
}

/// Accepts a certificate for any name. Without a chain to verify, it accepts every certificate: the connection is
/// encrypted, but the server may be another.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // The name is verified last.
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
