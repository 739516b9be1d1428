//! Roles of the extension that an operator renames.

use audit_harness::cluster::Options;
use audit_harness::database::Database;
use audit_harness::query::{one, run};
use audit_harness::sidecar::Sidecar;

use crate::rest::http::Request;

#[tokio::test]
async fn a_renamed_role_is_reported_with_its_new_name() {
    let db = Database::on_own_cluster(&Options::preloaded());
    let client = db.connect().await;
    let sidecar = Sidecar::start(&db);
    let token = sidecar.token("auditor", Some("acme"));
    let check = "SELECT concat_ws(' | ', ok, value, hint) FROM audit.status() WHERE name = 'roles'";
    assert!(one::<String>(&client, check, &[]).await.starts_with("t | have their names"));
    let ready = || {
        let answer = Request::get("/readyz").send(&sidecar);
        (answer.status, answer.json()["checks"]["rights"]["detail"].as_str().unwrap().to_owned())
    };
    assert_eq!(ready(), (200, "are sufficient".to_owned()));

    run(&client, "ALTER ROLE audit_server RENAME TO \"Corp audit\"; ALTER ROLE audit_signer RENAME TO pen").await;
    let told: String = one(&client, check, &[]).await;
    assert!(
        told.starts_with("f | no role is named audit_server, audit_signer; ") && told.contains("\"Corp audit\""),
        "{told}"
    );
    assert!(told.contains("ALTER ROLE new_name RENAME TO old_name"), "{told}");
    let (status, detail) = ready();
    assert!(status == 503 && detail.contains("no role audit_server") && detail.contains("RENAME TO"), "{detail}");
    // Without a record there is no export.
    let export = || Request::get("/v1/events").accept("text/csv").token(&token).send(&sidecar).status;
    assert_eq!(export(), 503);

    run(&client, "ALTER ROLE \"Corp audit\" RENAME TO audit_server; ALTER ROLE pen RENAME TO audit_signer; ALTER ROLE audit_admin RENAME TO boss").await;
    let told: String = one(&client, check, &[]).await;
    assert!(told.starts_with("f | no role is named audit_admin; ") && told.contains("boss"), "{told}");
    assert_eq!((ready().0, export()), (200, 200));
}
