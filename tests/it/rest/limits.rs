//! The limits of each route on the size of a request, and on large bodies at a time.

use std::io::{BufRead, Write};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::{Answer, Request};

const FORM: &str = "application/x-www-form-urlencoded";

/// The paths below `/admin` that take a form, without the one that takes a file.
const FORMS: [&str; 11] = [
    "/admin/login",
    "/admin/link",
    "/admin/logout",
    "/admin/retention/change",
    "/admin/retention/hold",
    "/admin/retention/release",
    "/admin/integrity/check",
    "/admin/access/tokens",
    "/admin/access/revoke",
    "/admin/access/end",
    "/admin/access/end-all",
];

#[tokio::test]
async fn each_route_of_rest_refuses_a_body_that_is_too_large() {
    let rest = Rest::start();
    let document = rest.get("/v1/openapi.json").ok().json();
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = match method.as_str() {
                "get" => continue,
                "post" => "POST",
                "put" => "PUT",
                "delete" => "DELETE",
                other => panic!("{other} {path}"),
            };
            // An id in a path is valid, so that the body decides.
            let path = path.replace("{id}", "1").replace("{session}", "000000000000");
            assert!(!path.contains('{'), "{path}");
            let (size, status, code) = match (&operation["requestBody"], path.as_str()) {
                (Value::Null, _) => (1, 400, "invalid_value"),
                (_, "/v1/events") => ((64 << 20) + 1, 413, "body_too_large"),
                _ => ((64 << 10) + 1, 413, "body_too_large"),
            };
            let request = Request::post(path.as_str(), "application/json", vec![b' '; size]).method(method);
            let error = refused(rest.send(request.token(&rest.admin)), status, code);
            assert!(error["message"].as_str().unwrap().contains("body"), "{method} {path}: {error}");
            tried += 1;
        }
    }
    assert!(tried >= 8, "{tried}");
}

#[tokio::test]
async fn each_form_of_the_pages_that_is_too_large_is_refused() {
    let routes = include_str!("../../../sidecar/src/admin/router.rs");
    assert_eq!(
        routes.matches("post(").count(),
        FORMS.len() + 1,
        "each route with a form is in FORMS, but for the upload"
    );
    let rest = Rest::start();
    let send = |path: &str, body: String, cookie: &str| {
        let form = Request::post(path, FORM, body).header("Origin", rest.sidecar.url(""));
        rest.send(form.header("Cookie", cookie.to_owned()))
    };
    let login = send("/admin/login", format!("token={}", rest.admin), "");
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    for path in FORMS {
        assert!(routes.contains(&format!("\"{path}\"")), "{path}");
        let answer = send(path, "x".repeat((64 << 10) + 1), &cookie);
        assert_eq!(answer.status, 413, "{path}: {}", answer.text());
        // A form of this size is read, and lacks what it needs.
        let answer = send(path, "x".repeat(64 << 10), &cookie);
        assert!(matches!(answer.status, 400 | 403), "{path}: {} {}", answer.status, answer.text());
    }
}

#[tokio::test]
async fn large_bodies_wait_for_each_other_and_small_ones_for_none() {
    let rest = Rest::start();
    let event = r#"{"action":"x","workspace":"acme"}"#;
    let large = format!("{event}{}", " ".repeat(2 << 20));
    let append = |body: &str| Request::post("/v1/events", "application/json", body).token(&rest.admin);
    // Clients that announce a large body, and send no more than a byte of it.
    let slow = || {
        let mut stream = crate::rest::http::connect(&rest.sidecar).unwrap();
        stream.write_all(append("").head(&rest.sidecar, Some(large.len())).as_bytes()).unwrap();
        stream.write_all(b" ").unwrap();
        stream
    };
    let mut turns: Vec<_> = (0..8).map(|_| slow()).collect();
    thread::sleep(Duration::from_secs(1));
    let mut waiting = append(&large).begin(&rest.sidecar).unwrap();
    rest.send(append(event)).ok();
    waiting.get_ref().set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(waiting.fill_buf().is_err(), "a ninth large body has no turn");
    // A client that goes away gives its turn to the next.
    turns.pop();
    waiting.get_ref().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    Answer::read(&mut waiting).unwrap().ok();
}
