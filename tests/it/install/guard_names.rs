//! Names in statements that the guard judges. PostgreSQL's own errors reach the client as they are.

use audit_harness::database::Database;
use audit_harness::query::{refused, run};

/// Statements with a name that PostgreSQL refuses, and the SQLSTATE.
const STATEMENTS: [(&str, &str); 22] = [
    ("DROP TRIGGER own ON other.audit.event", "0A000"),
    ("DROP RULE IF EXISTS own ON other.audit.event", "0A000"),
    ("DROP TABLE other.audit.event", "0A000"),
    ("DROP TABLE a.b.audit.event", "42601"),
    ("DROP TRIGGER own ON a.b.audit.event", "42601"),
    ("ALTER TABLE other.audit.event DISABLE TRIGGER ALL", "0A000"),
    ("ALTER TABLE mine INHERIT other.audit.log", "0A000"),
    ("ALTER TABLE mine ADD FOREIGN KEY (id) REFERENCES other.audit.log", "0A000"),
    ("CREATE INDEX ON other.audit.event (actor)", "0A000"),
    ("CREATE INDEX ON audit.event (absent)", "42703"),
    ("CREATE INDEX ON audit.event USING heap (actor)", "XX000"),
    ("CREATE INDEX ON audit.event USING absent (actor)", "42704"),
    ("CREATE TABLE own () INHERITS (other.audit.log)", "0A000"),
    ("TRUNCATE other.audit.event", "0A000"),
    ("COPY other.audit.event FROM STDIN", "0A000"),
    ("GRANT SELECT ON other.audit.event TO PUBLIC", "0A000"),
    ("COMMENT ON TABLE other.audit.event IS 'mine'", "0A000"),
    ("COMMENT ON COLUMN event.actor IS 'mine'", "42P01"),
    ("DROP FUNCTION other.audit.close_guard()", "0A000"),
    ("DROP FUNCTION a.b.audit.close_guard()", "42601"),
    ("DROP FUNCTION audit.append(other.pg_catalog.text)", "0A000"),
    ("REINDEX TABLE other.audit.event", "0A000"),
];

#[tokio::test]
async fn errors_of_names_are_those_of_postgresql() {
    let db = Database::new();
    let superuser = db.connect().await;
    run(&superuser, "CREATE TABLE mine (id int); SELECT audit.append('x', 'acme')").await;
    run(&superuser, "SELECT audit.seal()").await;
    let role = db.connect_as(&["audit_writer"]).await;
    run(&superuser, "GRANT CREATE ON SCHEMA public TO PUBLIC; ALTER TABLE mine OWNER TO audit_writer").await;
    for (statement, sqlstate) in STATEMENTS {
        let error = refused(&superuser, statement, sqlstate).await;
        assert_eq!(error.detail(), None, "{statement}: {error:?}");
        // The role lacks the privilege for some of them.
        let error = role.batch_execute(statement).await.expect_err(statement);
        let error = error.as_db_error().unwrap();
        assert!([sqlstate, "42501"].contains(&error.code().code()), "{statement}: {error:?}");
        assert_eq!(error.detail(), None, "{statement}: {error:?}");
    }
}

/// The name of this database is no way past the guard.
#[tokio::test]
async fn names_with_the_present_database_are_judged() {
    let db = Database::new();
    let superuser = db.connect().await;
    run(&superuser, "SELECT audit.append('x', 'acme')").await;
    run(&superuser, "SELECT audit.seal()").await;
    let name = db.name();
    for statement in [
        format!("ALTER TABLE \"{name}\".audit.event DISABLE TRIGGER ALL"),
        format!("CREATE UNIQUE INDEX ON \"{name}\".audit.log (size)"),
        format!("TRUNCATE \"{name}\".audit.tile"),
        format!("CREATE TABLE own () INHERITS (\"{name}\".audit.log)"),
    ] {
        refused(&superuser, &statement, "ZA001").await;
    }
}
