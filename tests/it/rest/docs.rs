//! The page that shows the API.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::Request;

#[tokio::test]
async fn the_page_needs_a_token_and_no_other_origin() {
    let rest = Rest::start();
    let password = format!("Basic {}", BASE64_STANDARD.encode(format!("x:{}", rest.auditor)));
    let open = |path: &str| rest.send(Request::get(path).header("Authorization", password.clone()));

    for path in ["/docs", "/docs/", "/docs/swagger-ui.css", "/docs/openapi.json"] {
        let answer = rest.send(Request::get(path));
        assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic ")), "{path}");
        refused(answer, 401, "unauthorized");
    }
    let moved = open("/docs");
    assert_eq!((moved.status, moved.header("location")), (308, Some("docs/")));
    refused(open("/docs/nothing"), 404, "not_found");
    assert_eq!(open("/docs/openapi.json").ok().json(), open("/v1/openapi.json").ok().json());

    let page = open("/docs/").ok().text().to_owned();
    let mut assets: Vec<String> = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        assets.extend(page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    assert!(assets.len() >= 5, "{assets:?}");
    for element in page.split("<script").skip(1) {
        let (attributes, rest) = element.split_once('>').unwrap();
        let (inline, _) = rest.split_once("</script>").unwrap();
        assert!(attributes.contains("src=") && inline.trim().is_empty(), "an inline script: {element}");
    }
    assert!(!page.contains("<style") && !page.contains("style=") && !page.contains(" on"), "{page}");
    for asset in assets.iter().map(String::as_str).chain([""]) {
        assert!(!asset.contains(':') && !asset.starts_with('/'), "{asset} is of another origin");
        let answer = open(&format!("/docs/{}", asset.trim_start_matches("./"))).ok();
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self'; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    let start = open("/docs/swagger-initializer.js").ok().text().to_owned();
    assert!(start.contains("\"openapi.json\"") && start.contains("\"validatorUrl\": \"none\""), "{start}");
    assert!(!start.contains("://"), "{start}");
}

#[tokio::test]
async fn the_page_that_verifies_packs_is_the_one_of_the_release() {
    let rest = Rest::start();
    let answer = rest.send(Request::get("/verify.html")).ok();
    assert_eq!(answer.text(), include_str!("../../../proof/verify.html"));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
}
