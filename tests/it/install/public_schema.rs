//! The contract: schema `audit` is as the committed snapshot says, and schema `audit_internal` belongs to its owner alone.

use std::fs;
use std::path::Path;

use audit_harness::database::Database;
use audit_harness::query::{all, run};

/// The difference is what a review of the contract looks at.
#[tokio::test]
async fn the_public_schema_is_the_one_that_was_reviewed() {
    let db = Database::new();
    let client = db.connect().await;
    let lines: Vec<String> = all(&client, include_str!("public_schema.sql"), &[]).await;
    insta::with_settings!({
        description => "Schema audit is a contract. If this change is intended, accept it: INSTA_UPDATE=always make test T=public_schema",
        omit_expression => true,
        prepend_module_to_snapshot => false,
    }, {
        insta::assert_snapshot!("public_schema", lines.join("\n"));
    });
}

#[tokio::test]
async fn nobody_but_the_owner_can_use_the_internal_schema() {
    let db = Database::empty();
    let client = db.connect().await;
    // Default privileges of the role that creates the extension must not open it.
    run(
        &client,
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC; \
         ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC; \
         CREATE EXTENSION audit_log; SELECT audit.append('x', 'acme'); SELECT audit.maintain(4); SELECT audit.seal()",
    )
    .await;
    // pg_read_all_data and pg_write_all_data, whose members may use every schema, are the administrator's to grant.
    let users: Vec<String> = all(
        &client,
        "SELECT r.rolname::text FROM pg_roles r WHERE NOT r.rolsuper AND r.rolname NOT LIKE 'pg\\_%\\_all\\_data' \
           AND (has_schema_privilege(r.rolname, 'audit_internal', 'USAGE') OR has_schema_privilege(r.rolname, 'audit_internal', 'CREATE'))",
        &[],
    )
    .await;
    assert_eq!(users, Vec::<String>::new());
    let granted: Vec<String> = all(
        &client,
        "SELECT o.name || ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END || ': ' || a.privilege_type \
         FROM (SELECT nspname::text AS name, nspowner AS owner, coalesce(nspacl, acldefault('n', nspowner)) AS acl FROM pg_namespace \
                   WHERE nspname = 'audit_internal' \
               UNION ALL SELECT oid::regclass::text, relowner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END, relowner)) \
                   FROM pg_class WHERE relnamespace = 'audit_internal'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') \
               UNION ALL SELECT a.attrelid::regclass || '.' || a.attname, c.relowner, a.attacl FROM pg_attribute a \
                   JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'audit_internal'::regnamespace \
               UNION ALL SELECT oid::regprocedure::text, proowner, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc \
                   WHERE pronamespace = 'audit_internal'::regnamespace) o, aclexplode(o.acl) a \
         WHERE a.grantee <> o.owner ORDER BY 1",
        &[],
    )
    .await;
    assert_eq!(granted, Vec::<String>::new());
}

#[test]
fn a_folder_of_sql_holds_one_schema() {
    let sql = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql");
    for (folder, schema) in [("api", "audit"), ("internal", "audit_internal")] {
        let mut objects = 0;
        for file in fs::read_dir(sql.join(folder)).unwrap() {
            let file = file.unwrap().path();
            for line in fs::read_to_string(&file).unwrap().lines() {
                let Some(created) = created(line) else { continue };
                objects += 1;
                assert_eq!(created, schema, "{}: {line}", file.display());
            }
        }
        assert!(objects > 10, "{folder} has {objects} objects");
    }
}

/// The schema of what a statement that begins with this line creates: an object, or a trigger or an index of a table.
fn created(line: &str) -> Option<&str> {
    let mut words = line.strip_prefix("CREATE ")?.split([' ', '(']).skip_while(|word| *word == "UNIQUE");
    let name = match words.next()? {
        "TRIGGER" | "INDEX" => words.skip_while(|word| *word != "ON").nth(1)?,
        _ => words.next()?,
    };
    Some(name.split_once('.')?.0)
}
