//! Tests of the harness itself.

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{one, refused, run};
use audit_harness::sidecar::Sidecar;

#[tokio::test]
async fn a_cluster_answers_and_is_removed_with_its_owner() {
    let cluster = Cluster::start(&Options::default());
    let dir = cluster.dir().to_owned();
    let client = connect(&cluster.config("postgres")).await;
    assert_eq!(one::<i32>(&client, "SELECT 1", &[]).await, 1);
    refused(&client, "SELECT 1/0", "22012").await;
    let tcp = connect(&cluster.tcp_config("postgres")).await;
    assert_eq!(one::<String>(&tcp, "SELECT host(inet_client_addr())", &[]).await, "127.0.0.1");

    let standby = Cluster::standby_of(&cluster, &Options::default());
    let reader = connect(&standby.config("postgres")).await;
    assert!(one::<bool>(&reader, "SELECT pg_is_in_recovery()", &[]).await);
    cluster.restart("immediate");
    run(&connect(&cluster.config("postgres")).await, "CREATE TABLE t ()").await;

    drop((cluster, standby));
    assert!(!dir.exists(), "{} still exists", dir.display());
}

#[tokio::test]
async fn the_sidecar_serves_its_database_and_stops_on_request() {
    let db = Database::new();
    run(&db.connect().await, "SELECT audit.append('x', 'acme'); SELECT audit.append('y', 'umbrella')").await;
    let sidecar = Sidecar::start(&db);
    assert_eq!(sidecar.get("/healthz", None).unwrap().0, 200);
    assert_eq!(sidecar.get("/v1/events", None).unwrap().0, 401);
    let token = sidecar.token("viewer", Some("acme"));
    let (status, body) = sidecar.get("/v1/events?action=x", Some(&token)).unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("acme") && !body.contains("umbrella"), "{body}");
    let address = sidecar.address();
    assert!(sidecar.stop().success());
    assert!(std::net::TcpStream::connect(address).is_err());
}
