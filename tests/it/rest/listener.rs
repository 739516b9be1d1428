//! The listener of the sidecar: TLS, and clients that are many or slow.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use audit_harness::database::Database;
use audit_harness::sidecar::Sidecar;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::http::{Request, connect};
use super::tls::authority;

/// Writes a certificate for `localhost`, and its key. Returns its bytes.
fn issue(folder: &Path, authority: &CertifiedIssuer<'_, KeyPair>) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    fs::write(folder.join("cert"), certificate.pem()).unwrap();
    certificate.der().clone()
}

/// Sends a request by TLS. Returns the answer, and the certificate of the server.
fn send(sidecar: &Sidecar, config: &Arc<ClientConfig>, request: &str) -> (String, CertificateDer<'static>) {
    let connection = ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, connect(sidecar).unwrap());
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer, stream.conn.peer_certificates().unwrap()[0].clone().into_owned())
}

#[test]
fn requests_are_answered_by_tls_with_the_newest_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    let first = issue(folder.path(), &authority);
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let db = Database::new();
    let sidecar = Sidecar::start_with(&db, &["--tls-cert", &path("cert"), "--tls-key", &path("key")]);

    let ready = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let (answer, certificate) = send(&sidecar, &config, ready);
    assert!(answer.starts_with("HTTP/1.1 200") && certificate == first, "{answer}");
    assert!(Request::get("/readyz").try_send(&sidecar).is_err(), "the sidecar answers without TLS");
    // The session of a browser is one of TLS.
    let body = format!("token={}", sidecar.token("viewer", Some("acme")));
    let login = format!(
        "POST /admin/login HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (answer, _) = send(&sidecar, &config, &login);
    assert!(answer.contains("set-cookie: __Host-audit_session=") && answer.contains("; Secure"), "{answer}");

    // A certificate without its key is not used.
    fs::write(folder.path().join("key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    sidecar.log_line(&["the former one stays"]);
    assert!(send(&sidecar, &config, ready).1 == first);
    let second = issue(folder.path(), &authority);
    let until = Instant::now() + Duration::from_secs(20);
    while send(&sidecar, &config, ready).1 != second {
        assert!(Instant::now() < until, "{}", sidecar.log());
        thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until the sidecar has closed the connection. Returns what it sent before.
fn rest_of(mut stream: TcpStream, patience: Duration) -> String {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection is still open: {error}"),
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn headers_that_never_end_cost_a_connection_for_seconds() {
    let db = Database::new();
    let sidecar = Sidecar::start(&db);
    let mut streams: Vec<TcpStream> = (0..60).map(|_| connect(&sidecar).unwrap()).collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        let begun = ["", "G", "GET /readyz HTTP/1.1\r\nHost: x\r\n"][number % 3];
        stream.write_all(begun.as_bytes()).unwrap();
    }
    Request::get("/readyz").send(&sidecar).ok();
    let started = Instant::now();
    for stream in streams {
        rest_of(stream, Duration::from_secs(25).saturating_sub(started.elapsed()).max(Duration::from_secs(1)));
    }
    Request::get("/readyz").send(&sidecar).ok();
}

#[test]
fn connections_beyond_the_limit_are_closed_at_once() {
    let db = Database::new();
    let sidecar = Sidecar::start_with(&db, &["--max-connections", "5"]);
    let mut streams: Vec<TcpStream> = (0..5).map(|_| connect(&sidecar).unwrap()).collect();
    // The last connection is accepted after the others.
    streams[4].write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut begun = [0; 12];
    streams[4].read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    assert_eq!(rest_of(connect(&sidecar).unwrap(), Duration::from_secs(5)), "");
    sidecar.log_line(&["too many connections"]);
    streams.truncate(2);
    let until = Instant::now() + Duration::from_secs(5);
    while Request::get("/healthz").try_send(&sidecar).is_err() {
        assert!(Instant::now() < until, "{}", sidecar.log());
    }
}
