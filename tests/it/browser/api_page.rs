//! `/docs`: Swagger UI shows the API under the strict policy of the page.

use audit_harness::database::Database;
use audit_harness::sidecar::Sidecar;
use fantoccini::Locator;
use serde_json::json;

use crate::browser::driver::Browser;

#[tokio::test]
async fn the_api_page_shows_every_operation() {
    let db = Database::new();
    let sidecar = Sidecar::start(&db);
    let token = sidecar.token("auditor", None);
    let (_, document) = sidecar.get("/v1/openapi.json", Some(&token)).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let operations: usize =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();

    let browser = Browser::start(1200, 900).await;
    // The browser remembers the password of the first address, as if its user had typed it.
    for user in [format!("auditor:{token}@"), String::new()] {
        browser.client.goto(&format!("http://{user}{}/docs/", sidecar.address())).await.unwrap();
    }
    browser.client.wait().for_element(Locator::Css(".swagger-ui .opblock")).await.unwrap();
    let shown = browser.client.find_all(Locator::Css(".swagger-ui .opblock")).await.unwrap().len();
    assert_eq!(shown, operations);
    let styled = "arguments[0](getComputedStyle(document.querySelector('.opblock-summary-method')).fontWeight)";
    assert_eq!(browser.run(styled, vec![]).await, json!("700"), "the style sheet is not applied");
    browser.close().await;
}
