//! The matrix: role × path × workspace, every cell tried.

use std::collections::BTreeSet;

use audit_harness::query::{all, one, run};

use super::{ABSENT, Answer, FOREIGN, OWN, World, answer, is_refused, renamed};

/// How a path treats a bound role.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// An own workspace answers as it answers an unbound reader. Any other is refused: see [`expected`].
    Gated,
    /// The argument is the id of an event. An id of another workspace answers like one that no event has: with no row.
    ById,
    /// No right at all, whatever the workspace.
    Closed,
    /// A path to something that belongs to no workspace: the catalog, and pure functions.
    Open,
    /// The grants. A bound role sees its own.
    Grants,
}

use Kind::{ById, Closed, Gated, Grants, Open};

/// The paths: the public function or table, its kind, and a statement that takes the path. `{w}` is a workspace, `{id}` an id of
/// one of its events, `{part}` a partition.
pub const PATHS: &[(&str, Kind, &str)] = &[
    // Functions that query.
    ("audit.events", Gated, "SELECT * FROM audit.events('{w}')"),
    ("audit.events", Gated, "SELECT * FROM audit.events('{w}', target => 'ticket:7')"),
    (
        "audit.events",
        Gated,
        "SELECT * FROM audit.events('{w}', filters => '{\"action\": [\"login*\"]}', max_rows => 2)",
    ),
    ("audit.events", Gated, "BEGIN; SET LOCAL audit.workspace = '{w}'; SELECT * FROM audit.events(); COMMIT"),
    ("audit.events", Gated, "SET audit.workspace = '{w}'; SELECT * FROM audit.events(NULL)"),
    ("audit.events", Gated, "PREPARE p AS SELECT id FROM audit.events($1); EXECUTE p('{w}')"),
    ("audit.events", Gated, "CREATE TEMP TABLE t AS SELECT * FROM audit.events('{w}'); SELECT * FROM t"),
    ("audit.event", ById, "SELECT * FROM audit.event({id})"),
    ("audit.feed", Gated, "SELECT * FROM audit.feed('{w}')"),
    ("audit.activity", Gated, "SELECT * FROM audit.activity('{w}', group_by => 'actor')"),
    ("audit.top_values", Gated, "SELECT * FROM audit.top_values('{w}')"),
    ("audit.counts_by_action", Gated, "SELECT * FROM audit.counts_by_action('{w}')"),
    ("audit.export", Gated, "BEGIN; SELECT audit.export('{w}'); FETCH ALL FROM audit_export; COMMIT"),
    ("audit.check_filters", Gated, "SELECT audit.check_filters('{w}', action => 'x')"),
    (
        "audit.export_leaves",
        Gated,
        "BEGIN; SELECT audit.export_leaves('{w}', 0, 100000); FETCH ALL FROM audit_leaves; COMMIT",
    ),
    ("audit.retention_setting", Gated, "SELECT * FROM audit.retention_setting('{w}')"),
    ("audit.keeping", Gated, "SELECT * FROM audit.keeping('{w}', '2026-01-31')"),
    ("audit.legal_holds", Gated, "SELECT * FROM audit.legal_holds('{w}')"),
    ("audit.granted_workspaces", Grants, "SELECT workspace FROM audit.granted_workspaces()"),
    // Logs and proofs.
    ("audit.log_head", Gated, "SELECT * FROM audit.log_head('{w}')"),
    ("audit.heads", Gated, "SELECT * FROM audit.heads('{w}')"),
    ("audit.root_at", Gated, "SELECT audit.root_at('{w}', 5)"),
    ("audit.inclusion_proof", Gated, "SELECT audit.inclusion_proof('{w}', 1, 5)"),
    ("audit.consistency_proof", Gated, "SELECT audit.consistency_proof('{w}', 3, 5)"),
    ("audit.subset_proof", Gated, "SELECT audit.subset_proof('{w}', 5, '{1}', '{2}')"),
    ("audit.leaves", Gated, "SELECT * FROM audit.leaves('{w}') ORDER BY 1"),
    ("audit.leaves", Gated, "SELECT audit.leaves('{w}', 0, 3)"),
    ("audit.leaf_of", Gated, "SELECT audit.leaf_of('{w}', {id})"),
    ("audit.protection", Gated, "SELECT * FROM audit.protection('{w}', '{{id}}')"),
    ("audit.tile_hashes", Gated, "SELECT audit.tile_hashes('{w}', 0, 0)"),
    ("audit.verify", Gated, "SELECT * FROM audit.verify('{w}')"),
    ("audit.verify", Gated, "SELECT * FROM audit.verify('{w}', since => now() - interval '1 day')"),
    ("audit.leaf_hash_of", Closed, "SELECT audit.leaf_hash(e) FROM audit.event e WHERE id = {id}"),
    ("audit.leaf_hash", Open, "SELECT audit.leaf_hash(NULL)"),
    // The tables of what belongs to workspaces, in each way to read a table.
    ("audit.event", Closed, "SELECT * FROM audit.event WHERE workspace = '{w}'"),
    ("audit.event", Closed, "SELECT count(*) FROM audit.event"),
    ("audit.event", Closed, "SELECT tableoid FROM audit.event WHERE id = {id}"),
    ("audit.event", Closed, "COPY audit.event TO STDOUT"),
    ("audit.event", Closed, "EXPLAIN SELECT * FROM audit.event WHERE workspace = '{w}'"),
    ("audit.event", Closed, "EXPLAIN (ANALYZE) SELECT * FROM audit.event WHERE workspace = '{w}'"),
    ("audit.event", Closed, "BEGIN; LOCK TABLE audit.event IN ACCESS SHARE MODE"),
    ("audit.event", Closed, "SELECT * FROM audit_internal.{part} WHERE workspace = '{w}'"),
    ("audit.event", Closed, "EXPLAIN SELECT * FROM audit_internal.{part}"),
    ("audit.event", Closed, "SELECT * FROM audit_internal.event_keeper"),
    ("audit.event", Closed, "SELECT * FROM audit_internal.idempotency_key WHERE workspace = '{w}'"),
    ("audit.event", Closed, "SELECT last_value FROM audit_internal.event_id_seq"),
    ("audit.event", Closed, "SELECT * FROM audit_internal.events('{w}')"),
    ("audit.workspace", Closed, "SELECT * FROM audit.workspace WHERE workspace = '{w}'"),
    ("audit.workspace_grant", Closed, "SELECT * FROM audit.workspace_grant WHERE workspace = '{w}'"),
    ("audit.legal_hold", Closed, "SELECT * FROM audit.legal_hold WHERE workspace = '{w}'"),
    ("audit.log", Closed, "SELECT * FROM audit.log WHERE workspace = '{w}'"),
    ("audit.tile", Closed, "SELECT * FROM audit.tile WHERE workspace = '{w}'"),
    ("audit.head", Closed, "SELECT * FROM audit.head WHERE workspace = '{w}'"),
    ("audit.removal", Closed, "SELECT * FROM audit.removal WHERE workspace = '{w}'"),
    ("audit.redaction", Closed, "SELECT * FROM audit.redaction WHERE event_id = {id}"),
    ("audit.checkpoint", Closed, "SELECT * FROM audit.checkpoint"),
    ("audit.maintenance", Closed, "SELECT * FROM audit.maintenance"),
    ("audit.archive", Closed, "SELECT * FROM audit.archive"),
    ("audit.api_token", Closed, "SELECT * FROM audit.api_token WHERE workspace = '{w}'"),
    ("audit.session", Closed, "SELECT * FROM audit.session"),
    ("audit.login_link", Closed, "SELECT * FROM audit.login_link"),
    // The catalog.
    ("audit.action", Open, "SELECT * FROM audit.action"),
    ("audit.category", Open, "SELECT * FROM audit.category"),
    ("audit.tag", Open, "SELECT * FROM audit.tag"),
    ("audit.retention_preset", Open, "SELECT * FROM audit.retention_preset"),
    ("audit.preset", Open, "SELECT audit.preset('sox')"),
    ("audit.tags_of", Open, "SELECT audit.tags_of('login_failed')"),
    ("audit.vocabulary", Open, "SELECT * FROM audit.vocabulary()"),
    // Functions that append, manage or operate.
    ("audit.append", Closed, "SELECT audit.append('x', '{w}')"),
    ("audit.append_autonomous", Closed, "SELECT audit.append_autonomous('x', '{w}')"),
    ("audit.append_many", Closed, "SELECT audit.append_many('[{\"action\": \"x\", \"workspace\": \"{w}\"}]')"),
    ("audit.import", Closed, "SELECT audit.import('[{\"action\": \"x\", \"workspace\": \"{w}\"}]')"),
    ("audit.context", Closed, "SELECT audit.context('{w}')"),
    ("audit.capture", Closed, "SELECT audit.capture('pg_class', workspace => '{w}')"),
    ("audit.end_capture", Closed, "SELECT audit.end_capture('pg_class')"),
    ("audit.captured", Closed, "SELECT * FROM audit.captured()"),
    ("audit.details", Closed, "SELECT audit.details('{}')"),
    ("audit.status", Closed, "SELECT * FROM audit.status()"),
    ("audit.register_action", Closed, "SELECT audit.register_action('x', 'admin', 'd')"),
    ("audit.register_vocabulary", Closed, "SELECT audit.register_vocabulary('okta')"),
    ("audit.grant_workspace", Closed, "SELECT audit.grant_workspace(session_user::text, '{w}')"),
    ("audit.revoke_workspace", Closed, "SELECT audit.revoke_workspace(session_user::text, '{w}')"),
    ("audit.set_retention", Closed, "SELECT audit.set_retention('{w}', '90 days')"),
    ("audit.retention", Closed, "SELECT audit.retention('{w}')"),
    ("audit.preview_retention", Closed, "SELECT audit.preview_retention('{w}', '90 days')"),
    ("audit.place_legal_hold", Closed, "SELECT audit.place_legal_hold('{w}', 'r')"),
    ("audit.release_legal_hold", Closed, "SELECT audit.release_legal_hold('{w}', 'r')"),
    ("audit.redact", Closed, "SELECT audit.redact({id}, 'actor', 'r')"),
    ("audit.maintain", Closed, "SELECT audit.maintain()"),
    ("audit.confirm_clock", Closed, "SELECT audit.confirm_clock('r')"),
    ("audit.open_guard", Closed, "SELECT audit.open_guard('r', 1)"),
    ("audit.close_guard", Closed, "SELECT audit.close_guard()"),
    ("audit.seal", Closed, "SELECT audit.seal()"),
    ("audit.record_heads", Closed, "SELECT audit.record_heads()"),
    ("audit.record_checkpoint", Closed, "SELECT audit.record_checkpoint(1, '\\x00', 'n')"),
    ("audit.archivable", Closed, "SELECT audit.archivable()"),
    ("audit.is_archived", Closed, "SELECT audit.is_archived('{part}')"),
    ("audit.partition_checksum", Closed, "SELECT audit.partition_checksum('{part}')"),
    ("audit.partition_events", Closed, "SELECT audit.partition_events('{part}')"),
    ("audit.record_archive", Closed, "SELECT audit.record_archive('{part}', 'l', 1, 1, 1, '\\x00')"),
    ("audit.record_archive_failure", Closed, "SELECT audit.record_archive_failure('{part}', 'p')"),
    ("audit.create_api_token", Closed, "SELECT audit.create_api_token('t', '\\x00', 'n', 'viewer', '{w}')"),
    ("audit.revoke_api_token", Closed, "SELECT audit.revoke_api_token('t')"),
    ("audit.note_token_use", Closed, "SELECT audit.note_token_use('t')"),
    ("audit.start_session", Closed, "SELECT audit.start_session('\\x00', 't', NULL, NULL)"),
    ("audit.use_session", Closed, "SELECT audit.use_session('\\x00')"),
    ("audit.end_session", Closed, "SELECT audit.end_session('\\x00')"),
    ("audit.end_sessions", Closed, "SELECT audit.end_sessions('t')"),
    ("audit.create_login_link", Closed, "SELECT audit.create_login_link('\\x00', 'a', 'b')"),
    ("audit.use_login_link", Closed, "SELECT audit.use_login_link('\\x00', 'a', '\\x00')"),
];

/// The roles of the matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// A member of audit_workspace_reader. OWN is granted to it.
    Bound,
    /// A member of a bound role.
    MemberOfBound,
    /// A member of audit_workspace_reader without a grant.
    WithoutGrant,
    /// A member of no role of the audit log, although OWN is granted to it.
    Outsider,
}

/// The answer that a cell must have.
#[derive(Debug, PartialEq)]
enum Expected {
    /// The answer that an unbound reader gets.
    AsReader,
    /// SQLSTATE 42501 for the workspace. A foreign one and an absent one differ in the name alone.
    RefusedWorkspace,
    /// SQLSTATE 42501 for the function, the table or the schema: the same text for each workspace.
    RefusedPath,
    NoRow,
    /// The rows of OWN only.
    OwnOnly,
}

/// The matrix itself.
fn expected(role: Role, kind: Kind, workspace: &str) -> Expected {
    use Expected::{AsReader, NoRow, OwnOnly, RefusedPath, RefusedWorkspace};
    match (role, kind, workspace) {
        (Role::Outsider, _, _) => RefusedPath,
        (_, Closed, _) => RefusedPath,
        (_, Open, _) => AsReader,
        (Role::Bound | Role::MemberOfBound, Gated, OWN) => AsReader,
        (Role::Bound | Role::MemberOfBound, Gated, _) => RefusedWorkspace,
        (Role::Bound | Role::MemberOfBound, ById, OWN) => AsReader,
        (Role::Bound | Role::MemberOfBound, ById, _) => NoRow,
        (Role::Bound | Role::MemberOfBound, Grants, _) => OwnOnly,
        (Role::WithoutGrant, Gated, _) => RefusedWorkspace,
        (Role::WithoutGrant, ById | Grants, _) => NoRow,
    }
}

#[tokio::test]
async fn each_cell_answers_as_the_matrix_says() {
    let world = World::new().await;
    let part: String = one(
        &world.admin,
        "SELECT relname::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'audit.event'::regclass ORDER BY 1 LIMIT 1",
        &[],
    )
    .await;
    let member = world.db.role(&[&world.bound]);
    let ungranted = world.db.role(&["audit_workspace_reader"]);
    let outsider = world.db.role(&[]);
    run(&world.admin, &format!("SELECT audit.grant_workspace('{outsider}', '{OWN}')")).await;
    let reader = world.db.role(&["audit_reader"]);
    let roles = [
        (Role::Bound, world.bound.clone()),
        (Role::MemberOfBound, member),
        (Role::WithoutGrant, ungranted),
        (Role::Outsider, outsider),
    ];
    let mut cells = 0;
    let mut wrong = Vec::new();
    for (path, kind, sql) in PATHS {
        let mut statements = Vec::new();
        for workspace in [OWN, FOREIGN, ABSENT] {
            let id = world.id_in(workspace).await.to_string();
            statements.push((workspace, sql.replace("{w}", workspace).replace("{id}", &id).replace("{part}", &part)));
        }
        let as_reader = if *kind == Closed { None } else { Some(fresh(&world, &reader, &statements[0].1).await) };
        if let Some(found) = &as_reader {
            // A path that finds nothing would prove nothing.
            let is_void = ["audit.verify", "audit.check_filters", "audit.leaf_hash"].contains(path);
            let has_rows = found.as_ref().is_ok_and(|rows| rows.iter().any(|row| row.iter().any(Option::is_some)));
            assert!(has_rows || is_void && found.is_ok(), "{sql}: {found:?}");
            // An unbound reader sees the foreign workspace.
            assert!(!is_refused(&fresh(&world, &reader, &statements[1].1).await), "{sql}");
        }
        for (role, name) in &roles {
            let mut answers = Vec::new();
            for (workspace, statement) in &statements {
                let found = fresh(&world, name, statement).await;
                let is_right = match expected(*role, *kind, workspace) {
                    Expected::AsReader => Some(&found) == as_reader.as_ref(),
                    Expected::RefusedWorkspace => {
                        let message = format!("permission denied for workspace \"{workspace}\"");
                        matches!(&found, Err((code, text)) if code == "42501" && text.contains(&message))
                    }
                    Expected::RefusedPath => {
                        is_refused(&found) && matches!(&found, Err((_, text)) if !text.contains("for workspace"))
                    }
                    Expected::NoRow => found.as_ref().is_ok_and(Vec::is_empty),
                    Expected::OwnOnly => found == Ok(vec![vec![Some(OWN.to_owned())]]),
                };
                if !is_right {
                    wrong.push(format!("{path} {kind:?} {role:?} {workspace}: {statement}: {found:?}"));
                }
                answers.push(found);
                cells += 1;
            }
            if renamed(&answers[1], FOREIGN, ABSENT) != answers[2] && *kind != Open {
                wrong.push(format!("{path} {role:?}: {sql}: foreign {:?} is not absent {:?}", answers[1], answers[2]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cells} cells:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(cells, PATHS.len() * roles.len() * 3);
}

/// The answer in a session of its own, so that no setting or prepared statement remains.
async fn fresh(world: &World, role: &str, sql: &str) -> Answer {
    answer(&world.login(role).await, sql).await
}

#[tokio::test]
async fn each_public_function_and_table_has_its_place() {
    let world = World::new().await;
    let objects: Vec<String> = all(
        &world.admin,
        "SELECT 'audit.' || p.proname FROM pg_proc p WHERE p.pronamespace = 'audit'::regnamespace \
         UNION SELECT 'audit.' || c.relname FROM pg_class c WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')",
        &[],
    )
    .await;
    let objects: BTreeSet<&str> = objects.iter().map(String::as_str).collect();
    let placed: BTreeSet<&str> = PATHS.iter().map(|(object, ..)| *object).collect();
    assert_eq!(objects, placed);
}

/// A function that a bound role can call, and that is not behind a gate, would not know the workspaces.
#[tokio::test]
async fn what_a_bound_role_can_call_is_behind_a_gate() {
    let world = World::new().await;
    let client = world.login(&world.bound).await;
    let open: BTreeSet<&str> = PATHS.iter().filter(|(_, kind, _)| *kind == Open).map(|(object, ..)| *object).collect();
    let callable: Vec<String> = all(
        &client,
        "SELECT 'audit.' || p.proname FROM pg_proc p WHERE p.pronamespace = 'audit'::regnamespace AND has_function_privilege(p.oid, 'EXECUTE') \
           AND NOT p.prosrc IN ('audit_gate', 'audit_gate_of_workspace')",
        &[],
    )
    .await;
    let pure = ["audit.leaf_hash_of"];
    let stray: Vec<&String> =
        callable.iter().filter(|name| !open.contains(name.as_str()) && !pure.contains(&name.as_str())).collect();
    assert_eq!(stray, Vec::<&String>::new());
    let readable: Vec<String> = all(
        &client,
        "SELECT 'audit.' || c.relname FROM pg_class c WHERE c.relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) \
           AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))",
        &[],
    )
    .await;
    let stray: Vec<&String> = readable.iter().filter(|name| !open.contains(name.as_str())).collect();
    assert_eq!(stray, Vec::<&String>::new());
}
