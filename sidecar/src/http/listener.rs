//! The listener: TLS if there is a certificate, and limits for clients that are many or slow.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use axum::Router;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The certificate and key of the listener, which are read again when their files change.
pub struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    config: RustlsConfig,
    read_at: [Option<SystemTime>; 2],
}

impl Certificate {
    /// Reads the files, which are in PEM.
    ///
    /// # Errors
    /// Fails if a file cannot be read, or if the key does not belong to the certificate.
    pub fn read(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let read_at = [certificate, key].map(changed_at);
        let config = RustlsConfig::from_config(Arc::new(server_config(certificate, key)?));
        Ok(Self { certificate: certificate.into(), key: key.into(), config, read_at })
    }

    /// Returns the configuration for [`serve`], which follows the files.
    pub fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Reads the files again after each change, for as long as it is awaited. If they cannot be used, the former certificate
    /// stays, and the sidecar log says so.
    pub async fn follow(mut self) {
        loop {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let changed = [&self.certificate, &self.key].map(|path| changed_at(path));
            if changed == self.read_at {
                continue;
            }
            self.read_at = changed;
            match server_config(&self.certificate, &self.key) {
                Ok(config) => {
                    self.config.reload_from_config(Arc::new(config));
                    tracing::info!(file = %self.certificate.display(), "the certificate has changed");
                }
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "the changed certificate cannot be used; the former one stays"
                    );
                }
            }
        }
    }
}

/// Time between two looks at the files of a certificate.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

fn changed_at(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn server_config(certificate: &Path, key: &Path) -> anyhow::Result<ServerConfig> {
    let certificates = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificate {}", certificate.display()))?;
    let private =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("cannot read the key {}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .with_context(|| {
            format!("cannot use the certificate {} with the key {}", certificate.display(), key.display())
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Serves until the handle shuts down. Connections beyond `most` are closed at once.
///
/// # Errors
/// Returns the errors of the listener.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<RustlsConfig>,
    most: usize,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let mut server = Server::<SocketAddr>::from_listener(listener)
        .handle(handle)
        .http1_only()
        .first_request_timeout(FIRST_REQUEST)
        .acceptor(Limited(Arc::new(Semaphore::new(most))));
    server.http_builder().http1().header_read_timeout(HEADERS).max_buf_size(HEADER_BYTES);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        Some(tls) => server.map(|limited| RustlsAcceptor::new(tls).acceptor(limited)).serve(service).await,
        None => server.serve(service).await,
    }
}

/// Maximum time from a connection to its first request. TLS is negotiated within it.
const FIRST_REQUEST: Duration = Duration::from_secs(15);

/// Maximum time from the end of an answer, or from the first byte of a request, to the end of the request's headers.
const HEADERS: Duration = Duration::from_secs(30);

/// Maximum size of the headers of a request, and of its address.
const HEADER_BYTES: usize = 128 << 10;

/// Accepts connections as long as there are permits.
#[derive(Clone)]
struct Limited(Arc<Semaphore>);

impl<S: Send + 'static> Accept<TcpStream, S> for Limited {
    type Stream = Counted;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Counted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(match Arc::clone(&self.0).try_acquire_owned() {
            Ok(permit) => Ok((Counted { stream, _permit: permit }, service)),
            Err(_) => {
                tracing::warn!("too many connections: one was closed at once");
                Err(io::Error::other("too many connections"))
            }
        })
    }
}

/// A connection, which holds its permit.
struct Counted {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Counted {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
