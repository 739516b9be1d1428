//! Foreign tools on the OpenAPI document of a running sidecar.

use std::env;
use std::path::Path;
use std::process::Command;

use audit_harness::query::run;

use crate::rest::bad_input::support::Rest;

/// Runs a script of `tests/openapi/` with the address of a sidecar.
async fn script(name: &str) {
    let rest = Rest::start();
    run(&rest.db.connect().await, "SELECT audit.append('order_placed', 'acme'); SELECT audit.seal()").await;
    let python =
        env::var_os("AUDIT_TEST_PYTHON").expect("AUDIT_TEST_PYTHON is set; `make test` creates the environment");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi").join(name);
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(python)
        .arg(script)
        .arg(rest.sidecar.url(""))
        .env("TOKEN", &rest.admin)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_client_works() {
    script("client.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_that_the_document_allows_is_refused() {
    script("valid_requests.py").await;
}
