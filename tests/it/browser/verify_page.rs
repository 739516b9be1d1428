//! `verify.html`: it gives every pack of the vectors its result, and shows it.

use std::fs;
use std::path::{Path, PathBuf};

use audit_harness::database::Database;
use audit_harness::sidecar::Sidecar;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fantoccini::Locator;
use fantoccini::elements::Element;
use serde_json::{Value, json};

use crate::browser::driver::Browser;

fn proof() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proof").canonicalize().unwrap()
}

fn index() -> Value {
    serde_json::from_slice(&fs::read(proof().join("vectors/packs.json")).unwrap()).unwrap()
}

async fn open(width: u32) -> Browser {
    open_at(width, &format!("file://{}", proof().join("verify.html").display())).await
}

async fn open_at(width: u32, address: &str) -> Browser {
    let browser = Browser::start(width, 900).await;
    browser.client.goto(address).await.unwrap();
    browser
}

/// Chooses a pack of the vectors, and returns the report on it.
async fn report(browser: &Browser, pack: &str) -> Element {
    let key = browser.client.find(Locator::Css("input[type=text], textarea")).await.unwrap();
    key.send_keys(index()["key"].as_str().unwrap()).await.unwrap();
    let file = browser.client.find(Locator::Css("input[type=file]:not([webkitdirectory])")).await.unwrap();
    file.send_keys(&proof().join(format!("vectors/packs/{pack}.zip")).display().to_string()).await.unwrap();
    browser.client.wait().for_element(Locator::Css("[data-result]")).await.unwrap()
}

const CHECK: &str = "
    const [text, keys, done] = arguments;
    const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
    verifyPack(bytes, keys).then(done, error => done({ result: String(error) }));";

#[tokio::test]
async fn every_pack_of_the_vectors_has_its_result() {
    let browser = open(1000).await;
    let index = index();
    let keys = json!({ "keys": [index["key"]], "witnesses": [] });
    let mut wrong = Vec::new();
    for pack in index["packs"].as_array().unwrap() {
        let zip = fs::read(proof().join("vectors/packs").join(pack["file"].as_str().unwrap())).unwrap();
        let found = browser.run(CHECK, vec![BASE64_STANDARD.encode(zip).into(), keys.clone()]).await;
        let expected = if pack["result"].is_null() { "CANNOT BE CHECKED".into() } else { pack["result"].clone() };
        let is_same = match expected.as_str() {
            Some("INVALID") => found["kinds"][0] == pack["kind"],
            Some("CANNOT BE CHECKED") => true,
            _ => {
                let mut figures = pack.as_object().unwrap().iter();
                figures.all(|(key, figure)| NO_FIGURES.contains(&key.as_str()) || found[key] == *figure)
            }
        };
        if found["result"] != expected || !is_same {
            wrong.push(format!("{}: {found}", pack["name"]));
        }
    }
    browser.close().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The keys of a vector that are not in the result.
const NO_FIGURES: [&str; 4] = ["name", "file", "about", "kind"];

#[tokio::test]
async fn a_chosen_file_gets_a_report() {
    for (name, width, result) in [("hostile", 360, "COMPLETE"), ("root-details", 1600, "INVALID")] {
        let browser = open(width).await;
        let report = report(&browser, name).await;
        assert_eq!(report.attr("data-result").await.unwrap().as_deref(), Some(result));
        let text = report.text().await.unwrap();
        assert!(text.contains(result), "{text}");
        assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}'), "{text}");
        let width = "arguments[0](document.documentElement.scrollWidth - document.documentElement.clientWidth)";
        assert_eq!(browser.run(width, vec![]).await, json!(0), "the page is wider than the window");
        let fetched =
            "const done = arguments[0]; fetch('https://example.com/').then(() => done('sent'), () => done('refused'))";
        assert_eq!(browser.run(fetched, vec![]).await, json!("refused"));
        browser.close().await;
    }
}

#[tokio::test]
async fn the_page_of_a_sidecar_has_nothing_of_its_origin() {
    let db = Database::new();
    let sidecar = Sidecar::start(&db);
    let browser = open_at(1000, &sidecar.url("/verify.html")).await;
    assert_eq!(browser.client.execute("return self.origin", vec![]).await.unwrap(), json!("null"));
    let report = report(&browser, "hostile").await;
    assert_eq!(report.attr("data-result").await.unwrap().as_deref(), Some("COMPLETE"));
    browser.close().await;
}
