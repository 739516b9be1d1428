//! The sidecar compares its version with that of the extension.

use audit_harness::database::Database;
use audit_harness::query::run;
use audit_harness::sidecar::Sidecar;

use crate::rest::http::Request;

#[tokio::test]
async fn the_sidecar_says_that_the_extension_has_another_version() {
    let db = Database::unguarded();
    let client = db.connect().await;
    let sidecar = Sidecar::start(&db);
    let dsn = db.cluster().dsn(db.name(), &db.role(&["audit_sidecar"]));
    let extension = || {
        let answer = Request::get("/readyz").send(&sidecar);
        (answer.status, answer.json()["checks"]["extension"]["detail"].as_str().unwrap().to_owned())
    };
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(extension(), (200, format!("is installed in version {own}")));
    let (series, _) = own.rsplit_once('.').unwrap();

    for (version, advice) in [
        ("0.0.9", "run ALTER EXTENSION audit_log UPDATE"),
        ("1000.0.0", "install a sidecar of the extension's version"),
    ] {
        set_version(&client, version).await;
        let (status, detail) = extension();
        assert!(status == 503 && detail.contains(version) && detail.contains(advice), "{status} {detail}");
        let error = Sidecar::serve(&dsn, &["--listen", "127.0.0.1:0"]).unwrap_err().to_string();
        assert!(error.contains(version) && error.contains(advice), "{error}");
        let output = sidecar.run(&["status"]);
        let checks = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && checks.contains("WARN  sidecar") && checks.contains(advice), "{checks}");
    }

    // The third number may differ.
    set_version(&client, &format!("{series}.999")).await;
    assert_eq!(extension(), (200, format!("is installed in version {series}.999")));
    Sidecar::serve(&dsn, &["--listen", "127.0.0.1:0"]).unwrap();
}

async fn set_version(client: &tokio_postgres::Client, version: &str) {
    run(client, &format!("UPDATE pg_extension SET extversion = '{version}' WHERE extname = 'audit_log'")).await;
}
