//! A viewer link in a frame of another site.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use audit_harness::database::Database;
use audit_harness::query::run;
use audit_harness::sidecar::Sidecar;
use fantoccini::Locator;
use rcgen::{CertificateParams, KeyPair};

use crate::browser::driver::Browser;
use crate::rest::http::Request;

/// Serves one page, which shows the frame, to each client. Returns the origin by the name of the host.
fn host(port: TcpListener, source: &str) {
    let page =
        format!("<!doctype html><title>Application</title><iframe src=\"{source}\" width=900 height=700></iframe>");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
    let answer = format!("{head} {}\r\n\r\n{page}", page.len());
    thread::spawn(move || {
        for stream in port.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
}

/// Returns the text of the frame after the host's page has loaded, or nothing if the browser shows an error instead.
async fn framed(browser: &Browser, url: &str, wanted: &str) -> String {
    let client = &browser.client;
    client.goto(url).await.unwrap();
    let mut text = String::new();
    for _ in 0..100 {
        client.enter_parent_frame().await.ok();
        client.enter_frame(0).await.unwrap();
        if let Ok(body) = client.find(Locator::Css("body")).await {
            text = body.text().await.unwrap_or_default();
        }
        if text.contains(wanted) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    client.enter_parent_frame().await.unwrap();
    text
}

#[tokio::test]
async fn a_person_sees_the_audit_log_in_a_frame_of_another_site() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("cert"), certificate.pem()).unwrap();
    fs::write(path("key"), key.serialize_pem()).unwrap();
    let (port, stranger) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let origin = |port: &TcpListener| format!("http://localhost:{}", port.local_addr().unwrap().port());
    let (own, other) = (origin(&port), origin(&stranger));

    let db = Database::new();
    run(&db.connect().await, "SELECT audit.append('seen_in_a_frame', 'acme', 'user:eve')").await;
    let flags = ["--tls-cert", &path("cert"), "--tls-key", &path("key"), "--embed-origin", &own];
    let sidecar = Sidecar::start_with(&db, &flags);
    let base = format!("https://{}", sidecar.address());
    // A sidecar without TLS answers the tests' own client.
    let plain = Sidecar::start(&db);
    let token = sidecar.token("embedder", Some("acme"));
    let link = || {
        let body = r#"{"role":"viewer","actor":"user:ada"}"#;
        let request = Request::post("/v1/viewer-links", "application/json", body).token(&token);
        let answer = request.send(&plain).json();
        format!("{base}{}", answer["url"].as_str().unwrap())
    };
    host(port, &link());
    host(stranger, &link());

    let browser = Browser::start_with(1000, 900, &["--ignore-certificate-errors"]).await;
    let text = framed(&browser, &own, "seen_in_a_frame").await;
    assert!(text.contains("seen_in_a_frame") && text.contains("user:ada"), "{text}");
    // The link is used, so it shows nothing again.
    let text = framed(&browser, &own, "unknown, expired or used").await;
    assert!(text.contains("unknown, expired or used"), "{text}");
    // The cookie is not one of windows of the sidecar.
    browser.client.goto(&format!("{base}/admin/log")).await.unwrap();
    let url = browser.client.current_url().await.unwrap();
    assert_eq!(url.path(), "/admin/login");
    // Another origin shows no frame.
    let text = framed(&browser, &other, "refused to connect").await;
    assert!(!text.contains("audit log") && !text.contains("seen"), "{text}");
    browser.close().await;
}
