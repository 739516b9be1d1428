//! Attacks by a superuser, and the check that detects each: `audit.verify` or a comparison with an older checkpoint.

use std::fs;

use audit_proof::tree::{Hash, check_consistency};
use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, explain, one, refused, run};

use crate::log::naive::{check, damages, hash, heads, path, record_heads, seal};
use crate::support::{DISARM, fails, import_days};

/// Creates events 1 to 300 of acme, 301 to 600 of umbrella, and 601 with their heads. Events 602 to 610 of acme
/// follow, and 611 with its head.
async fn log() -> (Database, Client) {
    let db = Database::unguarded();
    let client = db.connect().await;
    fill(&client).await;
    (db, client)
}

async fn fill(client: &Client) {
    run(
        client,
        "SELECT audit.append('x', 'acme', details => jsonb_build_object('n', n)) FROM generate_series(1, 300) n",
    )
    .await;
    run(
        client,
        "SELECT audit.append('x', 'umbrella', details => jsonb_build_object('n', n)) FROM generate_series(1, 300) n",
    )
    .await;
    record_heads(client).await;
    run(client, "SELECT audit.append('y', 'acme') FROM generate_series(1, 9)").await;
    record_heads(client).await;
    check(client, "before any attack").await;
    assert_eq!(one::<i64>(client, "SELECT max(id) FROM audit.event", &[]).await, 611);
}

/// Runs an attack and returns the damage that `audit.verify` reports. The attack is rolled back.
async fn after(client: &Client, attack: &str) -> Vec<String> {
    run(client, &format!("BEGIN; {DISARM}; {attack}")).await;
    let found = client.query("SELECT DISTINCT concat_ws(' ', d.kind, d.workspace, d.event_id) AS damage FROM audit.verify() d ORDER BY damage", &[]).await;
    let found = found.unwrap_or_else(|error| panic!("{attack}: {}", explain(&error)));
    run(client, "ROLLBACK").await;
    found.iter().map(|row| row.get(0)).collect()
}

/// Returns SQL that inserts a copy of an event with the values in `changed`.
fn copy_of(id: i64, changed: &str) -> String {
    format!(
        "INSERT INTO audit.event SELECT (jsonb_populate_record(e, jsonb_build_object({changed}))).* FROM audit.event e WHERE e.id = {id}"
    )
}

#[tokio::test]
async fn changed_rows_are_reported() {
    let (_db, client) = log().await;
    let attacks = [
        ("UPDATE audit.event SET details = '{\"n\": 0}' WHERE id = 7", &["event_changed acme 7"][..]),
        (
            "UPDATE audit.event SET actor = 'someone else' WHERE id IN (7, 611)",
            &["event_changed acme 7", "event_changed audit 611"],
        ),
        (
            "UPDATE audit.event SET occurred_at = occurred_at + interval '1 microsecond' WHERE id = 8",
            &["event_changed acme 8"],
        ),
        (
            "UPDATE audit.event SET recorded_at = recorded_at - interval '1 second' WHERE id = 605",
            &["event_changed acme 605"],
        ),
        ("UPDATE audit.event SET salt = decode(repeat('00', 16), 'hex') WHERE id = 9", &["event_changed acme 9"]),
        ("UPDATE audit.event SET salt = '' WHERE id = 9", &["event_changed acme 9"]),
        (
            "UPDATE audit.event e SET details = o.details FROM audit.event o WHERE o.id = 321 - e.id AND e.id IN (10, 311)",
            &["event_changed acme 10", "event_changed umbrella 311"],
        ),
        (
            "UPDATE audit.event e SET id = 21 - e.id WHERE e.id IN (10, 11)",
            &["event_changed acme 10", "event_changed acme 11"],
        ),
        (
            "UPDATE audit.event SET workspace = 'umbrella' WHERE id = 12",
            &["event_added umbrella 12", "event_moved acme 12"],
        ),
        (
            "UPDATE audit.event SET workspace = 'nobody' WHERE id = 12",
            &["event_added nobody 12", "event_moved acme 12"],
        ),
        ("UPDATE audit.event SET id = 9999 WHERE id = 13", &["event_added acme 9999", "event_missing acme 13"]),
        (
            "DELETE FROM audit.event WHERE id IN (1, 300, 610)",
            &["event_missing acme 1", "event_missing acme 300", "event_missing acme 610"],
        ),
        ("DELETE FROM audit.event WHERE id = 611", &["event_missing audit 611", "head_damaged acme 611"]),
    ];
    for (attack, expected) in attacks {
        let attack = if attack.contains("SET id = 21") {
            // One update at a time, because of the primary key.
            "UPDATE audit.event SET id = -10 WHERE id = 10; UPDATE audit.event SET id = 10 WHERE id = 11; UPDATE audit.event SET id = 11 WHERE id = -10"
        } else {
            attack
        };
        assert_eq!(after(&client, attack).await, expected, "{attack}");
    }
    check(&client, "the attacks have been undone").await;
}

#[tokio::test]
async fn rows_that_append_did_not_write_are_reported() {
    let (_db, client) = log().await;
    // The transaction id is one that was sealed long ago.
    assert_eq!(after(&client, &copy_of(7, "'id', 5000")).await, ["event_added acme 5000"]);
    assert_eq!(after(&client, &copy_of(7, "'id', 5000, 'workspace', 'nobody'")).await, ["event_added nobody 5000"]);
    assert_eq!(after(&client, &copy_of(7, "'id', 5000, 'xid', '999999999'")).await, ["event_added acme 5000"]);
    // The same event in another partition.
    let twin = copy_of(7, "'expires_on', e.expires_on + 40");
    assert_eq!(
        after(
            &client,
            &format!(
                "SELECT audit_internal.create_partition((SELECT expires_on + 40 FROM audit.event WHERE id = 7)); {twin}"
            )
        )
        .await,
        ["event_doubled acme 7", "event_hidden acme 7"]
    );
    // A row that `audit.append` cannot have written never gets a leaf.
    run(&client, &copy_of(7, "'id', 5001, 'salt', '\\x00', 'xid', pg_current_xact_id()::text")).await;
    seal(&client).await;
    assert_eq!(damages(&client).await, ["event_added acme 5001"]);
}

/// Queries find an event by the day on which it expires, which is no part of its leaf.
#[tokio::test]
async fn events_that_are_hidden_or_removed_too_early_are_reported() {
    let (_db, client) = log().await;
    let past = "SELECT audit_internal.create_partition('2024-03-01'); UPDATE audit.event SET expires_on = '2024-03-10' WHERE id = 7";
    assert_eq!(after(&client, past).await, ["event_hidden acme 7"]);
    // Maintenance uses the time of the event, and moves the event back.
    run(&client, &format!("BEGIN; {DISARM}; {past}; COMMIT")).await;
    while one::<i64>(&client, "SELECT count(*) FROM audit.maintain()", &[]).await > 0 {}
    seal(&client).await;
    check(&client, "after maintenance").await;

    // A day too late, as a longer retention would have it, or as a legal hold would keep it.
    let later = "SELECT audit_internal.create_partition(expires_on + 1) FROM audit.event WHERE id = 7; UPDATE audit.event SET expires_on = expires_on + 1 WHERE id = 7";
    assert_eq!(after(&client, later).await, ["event_hidden acme 7"]);
    let wide = "INSERT INTO audit.workspace (workspace, retention, shortest_days, longest_days, settled_at) VALUES ('acme', '13 months', 0, 40000, '-infinity'); \
                SELECT audit_internal.create_partition('2090-01-01'); UPDATE audit.event SET expires_on = '2090-01-01' WHERE id = 7";
    assert_eq!(after(&client, wide).await, ["event_hidden acme 7"]);
    let held =
        "SELECT audit_internal.create_held_partition(); UPDATE audit.event SET expires_on = 'infinity' WHERE id = 7";
    assert_eq!(after(&client, held).await, ["event_hidden acme 7"]);
    run(&client, "SELECT audit.place_legal_hold('acme', 'case 7')").await;
    seal(&client).await;
    assert_eq!(after(&client, held).await, [""; 0], "queries search this partition while the hold is active");

    let partition: String = one(&client, "SELECT tableoid::regclass::text FROM audit.event WHERE id = 7", &[]).await;
    let events: i64 = one(&client, &format!("SELECT count(*) FROM {partition}"), &[]).await;
    for attack in [
        format!("DROP TABLE {partition}"),
        format!("ALTER TABLE audit.event DETACH PARTITION {partition}"),
        format!("TRUNCATE {partition}"),
    ] {
        let found = after(&client, &attack).await;
        assert_eq!(
            found.iter().filter(|damage| damage.starts_with("event_missing")).count() as i64,
            events,
            "{attack}"
        );
    }
}

#[tokio::test]
async fn forged_removals_are_reported() {
    let (_db, client) = log().await;
    let delete = "DELETE FROM audit.event WHERE id BETWEEN 11 AND 20";
    let remove = |first: i64, beyond: i64, event: &str| {
        format!(
            "INSERT INTO audit.removal (workspace, first, beyond, event_id) SELECT 'acme', {first}, {beyond}, {event}"
        )
    };
    let tell = |workspaces: &str| {
        format!(
            "SELECT audit.append('partition_dropped', 'audit', actor => 'system:maintenance', target => 'partition:event_2024_03', \
                 details => jsonb_build_object('partition', 'event_2024_03', 'events', 10, 'workspaces', {workspaces}))"
        )
    };
    let told = tell(
        "jsonb_build_array(jsonb_build_object('workspace', 'acme', 'events', 10, 'leaves', jsonb_build_array(jsonb_build_array(10, 20))))",
    );
    let last = "currval('audit_internal.event_id_seq')";

    assert_eq!(after(&client, &format!("{delete}; {}", remove(10, 20, "600"))).await, ["removal_forged acme 600"]);
    assert_eq!(after(&client, &format!("{delete}; {}", remove(10, 20, "99999"))).await, ["removal_forged acme 99999"]);
    assert_eq!(
        after(&client, &format!("{told}; {delete}; {}", remove(10, 25, last))).await.len(),
        1,
        "the removal covers more leaves than its event"
    );
    // Everything is as maintenance would have left it, but months too early.
    let next: i64 = one(&client, "SELECT nextval('audit_internal.event_id_seq') + 1", &[]).await;
    assert_eq!(
        after(&client, &format!("{told}; {delete}; {}", remove(10, 20, last))).await,
        [format!("removal_forged acme {next}")]
    );
    let removed =
        "SELECT audit.append('events_removed', 'acme', details => '{\"leaves\": [[10, 20]], \"events\": 10}')";
    assert_eq!(after(&client, &format!("{removed}; {delete}; {}", remove(10, 20, last))).await.len(), 1);
    // The same holds for events after the last recorded head.
    run(&client, "SELECT audit.append('z', 'acme') FROM generate_series(1, 5)").await;
    seal(&client).await;
    let fresh = "jsonb_build_array(jsonb_build_object('workspace', 'acme', 'leaves', jsonb_build_array(jsonb_build_array(310, 314))))";
    let fresh = format!("{}; DELETE FROM audit.event WHERE action = 'z'; {}", tell(fresh), remove(309, 314, last));
    assert!(after(&client, &fresh).await.iter().any(|damage| damage.starts_with("removal_forged acme")));
    // Details of a form that the extension does not write.
    for details in ["{\"workspaces\": 5}", "{\"workspaces\": {\"workspace\": \"acme\", \"leaves\": 1}}", "{}"] {
        let odd = format!(
            "SELECT audit.append('partition_dropped', 'audit', details => '{details}'); {delete}; {}",
            remove(10, 20, last)
        );
        assert_eq!(after(&client, &odd).await.len(), 1, "{details}");
    }
}

/// Maintenance removes events by the retention in audit.workspace.
#[tokio::test]
async fn a_retention_without_an_event_is_reported() {
    let (_db, client) = log().await;
    let insert = "INSERT INTO audit.workspace (workspace, retention, shortest_days, longest_days) VALUES ('umbrella', '60 days', 59, 400)";
    assert_eq!(after(&client, insert).await, ["retention_forged umbrella"]);
    run(&client, "SELECT audit.set_retention('acme', '2 years')").await;
    seal(&client).await;
    check(&client, "told").await;
    let told: i64 = one(&client, "SELECT max(id) FROM audit.event", &[]).await;
    for attack in ["UPDATE audit.workspace SET retention = '60 days'", "DELETE FROM audit.workspace"] {
        assert!(after(&client, attack).await.contains(&format!("retention_forged acme {told}")), "{attack}");
    }
}

/// Without the hold, maintenance removes the events.
#[tokio::test]
async fn a_legal_hold_that_is_lifted_by_hand_is_reported() {
    let (_db, client) = log().await;
    import_days(&client, "acme", 100..=109).await;
    run(&client, "SELECT audit.set_retention('acme', '60 days')").await;
    let place = |workspace: &str, target: &str| {
        format!("SELECT audit.place_legal_hold('{workspace}', 'case', target => {target})")
    };
    let mut placed = Vec::new();
    for (workspace, target) in [("acme", "NULL"), ("umbrella", "'ticket:1'")] {
        run(&client, &place(workspace, target)).await;
        placed.push(one::<i64>(&client, "SELECT currval('audit_internal.event_id_seq')", &[]).await);
    }
    while one::<i64>(&client, "SELECT count(*) FROM audit.maintain()", &[]).await > 0 {}
    seal(&client).await;
    check(&client, "held").await;

    let (acme, umbrella) = (format!("hold_forged acme {}", placed[0]), format!("hold_forged umbrella {}", placed[1]));
    assert_eq!(after(&client, "DELETE FROM audit.legal_hold WHERE workspace = 'acme'").await, [acme.as_str()]);
    assert_eq!(
        after(
            &client,
            "UPDATE audit.legal_hold SET released_at = '2020-01-01', released_by = 'someone', cleared_at = now()"
        )
        .await,
        [acme.as_str(), umbrella.as_str()]
    );
    assert_eq!(
        after(&client, "UPDATE audit.legal_hold SET target = 'ticket:2' WHERE workspace = 'umbrella'").await,
        ["hold_forged umbrella", umbrella.as_str()]
    );
    let insert = "INSERT INTO audit.legal_hold (audit_event_id, workspace, reason, placed_by) VALUES (1, 'nobody', 'none', 'someone')";
    assert_eq!(after(&client, insert).await, ["hold_forged nobody"]);
    // The hold is lifted for a short time.
    let briefly = "CREATE TEMP TABLE hold AS SELECT * FROM audit.legal_hold; DELETE FROM audit.legal_hold; \
                   UPDATE audit.workspace SET removed_before = NULL; \
                   SELECT count(*) FROM audit.maintain(); INSERT INTO audit.legal_hold SELECT * FROM hold";
    let found = after(&client, briefly).await;
    assert!(found.len() == 1 && found[0].starts_with("removal_forged acme "), "{found:?}");

    run(&client, "SELECT audit.release_legal_hold('acme', 'settled')").await;
    let released: i64 = one(&client, "SELECT currval('audit_internal.event_id_seq')", &[]).await;
    while one::<i64>(&client, "SELECT count(*) FROM audit.maintain()", &[]).await > 0 {}
    seal(&client).await;
    check(&client, "released").await;
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.removal WHERE workspace = 'acme'", &[]).await, 1);
    let again = "UPDATE audit.legal_hold SET released_at = NULL WHERE workspace = 'acme'";
    assert_eq!(after(&client, again).await, [format!("hold_forged acme {released}")]);
}

#[tokio::test]
async fn changes_of_the_tree_are_reported() {
    let (_db, client) = log().await;
    let flip = |first: i64, leaf: i64| {
        let at = 32 * (leaf - first);
        format!(
            "UPDATE audit.tile SET hashes = set_byte(hashes, {at}, get_byte(hashes, {at}) # 1) WHERE workspace = 'acme' AND level = 0 AND first = {first}"
        )
    };
    assert_eq!(after(&client, &flip(0, 6)).await, ["event_changed acme 7", "tile_damaged acme"]);
    assert_eq!(
        after(&client, &flip(256, 299)).await,
        ["event_changed acme 300", "head_damaged acme", "head_damaged acme 601", "head_damaged acme 611"]
    );
    let swapped = "UPDATE audit.tile SET ids = ids[2:2] || ids[1:1] || ids[3:] WHERE workspace = 'acme' AND level = 0 AND first = 0";
    assert_eq!(after(&client, swapped).await, ["event_changed acme 1", "event_changed acme 2"]);
    assert_eq!(
        after(&client, "UPDATE audit.tile SET least_id = 2 WHERE workspace = 'acme' AND level = 0 AND first = 0").await,
        ["tile_damaged acme"]
    );
    assert_eq!(
        after(&client, "UPDATE audit.log SET root = sha256('') WHERE workspace = 'acme'").await,
        ["head_damaged acme"]
    );
    assert_eq!(
        after(&client, "UPDATE audit.log SET frontier = sha256('') WHERE workspace = 'acme'").await,
        ["head_damaged acme"]
    );
    assert_eq!(
        after(&client, "UPDATE audit.log SET log_id = salt FROM audit.event WHERE id = 1 AND log.workspace = 'acme'")
            .await,
        ["head_damaged acme 601", "head_damaged acme 611", "head_damaged audit 601", "head_damaged audit 611"]
    );
    assert_eq!(after(&client, "DELETE FROM audit.head WHERE event_id = 611").await, ["head_damaged audit 611"]);
    assert_eq!(
        after(&client, "UPDATE audit.head SET root = sha256('') WHERE event_id = 611").await,
        ["head_damaged acme 611", "head_damaged audit 611"]
    );
    // Sealing refuses to extend a damaged tree.
    run(&client, "SELECT audit.append('y', 'acme')").await;
    run(&client, &format!("BEGIN; {DISARM}; UPDATE audit.log SET frontier = sha256('') WHERE workspace = 'acme'"))
        .await;
    refused(&client, "SELECT audit.seal()", "XX001").await;
    run(&client, "ROLLBACK").await;
    seal(&client).await;
    check(&client, "the frontier is right again").await;
    // The attack rewrites the event, its leaf, the hashes above it, and the heads.
    let rewritten = "UPDATE audit.event SET details = '{}' WHERE id = 7; \
        CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT * FROM audit.log WHERE workspace = 'acme'; \
        DELETE FROM audit.log WHERE workspace = 'acme'; DELETE FROM audit.tile WHERE workspace = 'acme'; SELECT audit_internal.seal_unknown(); \
        UPDATE audit.log l SET log_id = k.log_id FROM kept k WHERE l.workspace = k.workspace; \
        UPDATE audit.head SET root = audit.root_at(workspace, size) WHERE workspace = 'acme'";
    assert_eq!(
        after(&client, rewritten).await,
        ["head_damaged acme 601", "head_damaged acme 611", "head_damaged audit 601", "head_damaged audit 611"]
    );
}

/// Events that the sealer skips are reported.
#[tokio::test]
async fn a_manipulated_sealer_is_detected() {
    for attack in [
        "UPDATE audit_internal.sealer SET sealed = '99999999:99999999:'",
        "UPDATE audit_internal.sealer SET ids_after = 99999",
    ] {
        let (_db, client) = log().await;
        run(&client, attack).await;
        run(&client, "SELECT audit.append('unseen', 'acme')").await;
        seal(&client).await;
        if attack.contains("ids_after") {
            assert_eq!(damages(&client).await, ["event_added acme 612"], "{attack}");
        } else {
            // A snapshot from the future must come from another cluster, so events are sealed by id. This is recorded
            // as an event.
            check(&client, attack).await;
            assert_eq!(
                one::<i64>(&client, "SELECT count(*) FROM audit.event WHERE action = 'incarnation_begun'", &[]).await,
                1
            );
        }
    }
}

/// Returns size and root of the system log, as a checkpoint holds them.
async fn checkpoint(client: &Client) -> (u64, Hash) {
    heads(client).await["audit"]
}

/// Checks an older checkpoint like the signer, a witness or an auditor: returns whether the log has only grown since.
async fn has_grown_from(client: &Client, (size, root): (u64, Hash)) -> bool {
    let (now, now_root) = checkpoint(client).await;
    if now < size {
        fails(client, "SELECT audit.consistency_proof('audit', $1, $2)", &[&(now as i64), &(size as i64)], "ZA003")
            .await;
        return false;
    }
    let proof = one(client, "SELECT audit.consistency_proof('audit', $1, $2)", &[&(size as i64), &(now as i64)]).await;
    check_consistency(size, &root, now, &now_root, &path(proof)).is_ok()
}

/// Records a checkpoint in the database, as the sidecar does after signing, and returns the reported damage.
async fn recorded(client: &Client, (size, root): (u64, Hash)) -> Vec<String> {
    run(client, &format!("{DISARM}; DELETE FROM audit.checkpoint")).await;
    client.execute("SELECT audit.record_checkpoint($1, $2, 'note')", &[&(size as i64), &root.to_vec()]).await.unwrap();
    damages(client).await
}

/// Removes all seals, and seals the present events again.
const RESEAL: &str = "TRUNCATE audit.tile, audit.log, audit.head, audit.checkpoint; DELETE FROM audit.event WHERE action = 'heads_recorded'; \
    SELECT audit_internal.seal_unknown()";

#[tokio::test]
async fn a_rewritten_log_contradicts_older_checkpoints() {
    let (_db, client) = log().await;
    let kept = checkpoint(&client).await;
    record_heads(&client).await;
    assert!(has_grown_from(&client, kept).await);
    run(&client, &format!("BEGIN; {DISARM}; UPDATE audit.event SET details = '{{}}' WHERE id = 7; {RESEAL}; COMMIT"))
        .await;
    record_heads(&client).await;
    // The database is consistent in itself, so only a checkpoint outside of it reveals the attack.
    check(&client, "rewritten").await;
    assert!(!has_grown_from(&client, kept).await);
    assert_eq!(recorded(&client, kept).await, ["checkpoint_contradicted audit"]);
    // Growing beyond the size of the checkpoint does not help the attacker.
    run(&client, "SELECT audit.append('x', 'w' || n) FROM generate_series(1, 9) n").await;
    record_heads(&client).await;
    record_heads(&client).await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    record_heads(&client).await;
    assert!(checkpoint(&client).await.0 > kept.0);
    assert!(!has_grown_from(&client, kept).await);
    assert_eq!(damages(&client).await, ["checkpoint_contradicted audit"]);
    fails(&client, "SELECT audit.record_checkpoint($1, sha256(''), 'note')", &[&(kept.0 as i64)], "ZA015").await;
}

#[tokio::test]
async fn a_truncated_log_contradicts_newer_checkpoints() {
    let (_db, client) = log().await;
    // The state of the log after the first heads.
    run(
        &client,
        "CREATE TABLE old_head AS SELECT w.workspace, w.size, audit.root_at(w.workspace, w.size) AS root \
                  FROM (VALUES ('acme', 300::bigint), ('audit', 1)) w (workspace, size)",
    )
    .await;
    let kept = checkpoint(&client).await;
    let cut = "DELETE FROM audit.event WHERE id > 601; DELETE FROM audit.head WHERE event_id > 601; \
        DELETE FROM audit.tile WHERE (workspace, level) = ('acme', 0) AND first >= 300 OR workspace = 'audit' AND first >= 1; \
        UPDATE audit.log l SET size = o.size, root = o.root, frontier = CASE l.workspace WHEN 'audit' THEN o.root ELSE \
            (SELECT t.hashes FROM audit.tile t WHERE t.workspace = 'acme' AND t.level = 1) || l.frontier END \
        FROM old_head o WHERE o.workspace = l.workspace";
    let frontier = "UPDATE audit.log l SET frontier = (SELECT string_agg(audit_internal.subtree_root(p.hashes), '' ORDER BY p.n) FROM ( \
        SELECT 1 AS n, t.hashes FROM audit.tile t WHERE t.workspace = 'acme' AND t.level = 1 \
        UNION ALL SELECT 2, substr(t.hashes, 1, 1024) FROM audit.tile t WHERE t.workspace = 'acme' AND t.level = 0 AND t.first = 256 \
        UNION ALL SELECT 3, substr(t.hashes, 1025, 256) FROM audit.tile t WHERE t.workspace = 'acme' AND t.level = 0 AND t.first = 256 \
        UNION ALL SELECT 4, substr(t.hashes, 1281, 128) FROM audit.tile t WHERE t.workspace = 'acme' AND t.level = 0 AND t.first = 256) p) \
        WHERE l.workspace = 'acme'";
    run(&client, &format!("BEGIN; {DISARM}; {cut}; {frontier}; COMMIT")).await;
    check(&client, "cut off").await;
    assert!(!has_grown_from(&client, kept).await);
    assert_eq!(recorded(&client, kept).await, ["checkpoint_contradicted audit"]);
}

/// The attack replaces the data directory by an older copy.
#[tokio::test]
async fn a_cluster_that_was_rolled_back_contradicts_newer_checkpoints() {
    let db = Database::on_own_cluster(&Options::default());
    let client = db.connect().await;
    fill(&client).await;
    let old = Cluster::standby_of(db.cluster(), &Options::default());
    old.psql("postgres", "SELECT pg_promote()");
    run(&client, "SELECT audit.append('what is to be forgotten', 'acme')").await;
    record_heads(&client).await;
    let kept = checkpoint(&client).await;
    assert!(has_grown_from(&client, kept).await);
    let copy = connect(&old.config(db.name())).await;
    assert!(!has_grown_from(&copy, kept).await);
    // The log grows to the size of the checkpoint again, but with another root.
    for _ in 0..3 {
        run(&copy, "SELECT audit.append('x', 'acme')").await;
        record_heads(&copy).await;
    }
    check(&copy, "rolled back").await;
    assert!(checkpoint(&copy).await.0 >= kept.0);
    assert!(!has_grown_from(&copy, kept).await);
    assert_eq!(recorded(&copy, kept).await, ["checkpoint_contradicted audit"]);
}

/// The attack changes files on disk, without the server.
#[tokio::test]
async fn a_page_that_was_edited_on_disk_is_reported() {
    let db = Database::on_own_cluster(&Options::preloaded());
    let client = db.connect().await;
    fill(&client).await;
    run(&client, "SELECT audit.append('x', 'acme', details => '{\"amount\": \"marker-1000\"}'), audit.append('x', 'acme', actor => 'user:zz-marker')").await;
    seal(&client).await;
    let file: String = one(&client, "SELECT current_setting('data_directory') || '/' || pg_relation_filepath(tableoid) FROM audit.event WHERE id = 612", &[]).await;
    let has_checksums = one::<String>(&client, "SHOW data_checksums", &[]).await == "on";
    drop(client);
    stop_and(db.cluster(), || {
        // Since version 18, a new cluster has checksums. An attacker can turn them off.
        if has_checksums {
            let disabled =
                db.cluster().command("pg_checksums").args(["--disable", "--pgdata", "data"]).output().unwrap();
            assert!(disabled.status.success(), "{}", String::from_utf8_lossy(&disabled.stderr));
        }
        let mut page = fs::read(&file).unwrap();
        for (marker, other) in [("marker-1000", "marker-9999"), ("user:zz-marker", "user:aa-marker")] {
            let at = page
                .windows(marker.len())
                .position(|bytes| bytes == marker.as_bytes())
                .expect("the marker is stored unchanged");
            page[at..at + marker.len()].copy_from_slice(other.as_bytes());
        }
        fs::write(&file, page).unwrap();
    });
    let client = db.connect().await;
    assert_eq!(damages(&client).await, ["event_changed acme 612", "event_changed acme 613"]);
    drop(client);
    // A page that the server cannot read is reported as damage, and the other pages are still checked.
    stop_and(db.cluster(), || {
        let mut pages = fs::read(&file).unwrap();
        pages[12..18].copy_from_slice(&[0xff; 6]);
        fs::write(&file, pages).unwrap();
    });
    let found = damages(&db.connect().await).await;
    assert!(found.iter().any(|damage| damage.starts_with("unreadable")), "{found:?}");
}

fn stop_and(cluster: &Cluster, work: impl FnOnce()) {
    let data = cluster.psql("postgres", "SHOW data_directory");
    let log = cluster.dir().join("log");
    let stopped = cluster.command("pg_ctl").args(["stop", "-s", "-w", "-m", "fast", "-D", &data]).status().unwrap();
    assert!(stopped.success());
    work();
    let started = cluster.command("pg_ctl").args(["start", "-s", "-w", "-D", &data, "-l"]).arg(log).status().unwrap();
    assert!(started.success(), "{}", cluster.log());
}

/// A period selects events by the time of sealing and by the time of the event.
#[tokio::test]
async fn verify_is_limited_to_a_period() {
    let (_db, client) = log().await;
    run(
        &client,
        "SELECT audit.import(jsonb_build_array(jsonb_build_object('action', 'old', 'workspace', 'acme', 'occurred_at', to_char(now() - interval '90 days', 'YYYY-MM-DD') || 'T00:00:00Z')))",
    )
    .await;
    record_heads(&client).await;
    let imported: i64 = one(&client, "SELECT id FROM audit.event WHERE action = 'old'", &[]).await;
    run(
        &client,
        &format!("BEGIN; {DISARM}; UPDATE audit.event SET actor = 'someone else' WHERE id IN (7, {imported}); COMMIT"),
    )
    .await;
    assert_eq!(damages(&client).await, ["event_changed acme 7".to_owned(), format!("event_changed acme {imported}")]);
    let since = "(SELECT recorded_at + interval '1 microsecond' FROM audit.head WHERE event_id = 611)".to_owned();
    for workspace in ["'acme'", "NULL"] {
        let period = |since: &str, until: &str| {
            let verify =
                format!("SELECT DISTINCT d.event_id FROM audit.verify({workspace}, {since}, {until}) d ORDER BY 1");
            let client = &client;
            async move { all::<i64>(client, &verify, &[]).await }
        };
        // No earlier head tells how many of the first leaves existed before the period, so event 7 is checked, too.
        assert_eq!(period("now() - interval '100 days'", "now() - interval '80 days'").await, [7, imported]);
        assert_eq!(period("now() - interval '80 days'", "now() - interval '79 days'").await, [7]);
        assert_eq!(period("now() - interval '1 day'", "NULL").await, [7, imported]);
        assert_eq!(period(&since, "NULL").await, [imported]);
        assert_eq!(period("now() + interval '1 second'", "NULL").await, Vec::<i64>::new());
    }
}

/// `audit.verify` reports any content of the tables as damage instead of failing.
#[tokio::test]
async fn verify_does_not_fail_on_damaged_tables() {
    let (db, client) = log().await;
    run(&client, "SELECT audit.record_checkpoint(1, audit.root_at('audit', 1), 'note')").await;
    let attacks = [
        "UPDATE audit.log SET size = -1 WHERE workspace = 'acme'",
        "UPDATE audit.log SET size = 4611686018427387904 WHERE workspace = 'acme'",
        "UPDATE audit.log SET size = 0 WHERE workspace = 'audit'",
        "UPDATE audit.log SET root = '', frontier = '\\x00'",
        "ALTER TABLE audit.log ALTER size DROP NOT NULL, ALTER root DROP NOT NULL, ALTER frontier DROP NOT NULL, ALTER log_id DROP NOT NULL; \
         UPDATE audit.log SET size = NULL, root = NULL, frontier = NULL, log_id = NULL",
        "DELETE FROM audit.log",
        "DELETE FROM audit.log WHERE workspace = 'audit'",
        "DELETE FROM audit.tile",
        "DELETE FROM audit.tile WHERE level = 1",
        "DELETE FROM audit.tile WHERE first = 256",
        "UPDATE audit.tile SET hashes = ''",
        "UPDATE audit.tile SET hashes = substr(hashes, 1, 50) WHERE first = 256",
        "UPDATE audit.tile SET hashes = hashes || hashes WHERE first = 0",
        "ALTER TABLE audit.tile ALTER hashes DROP NOT NULL; UPDATE audit.tile SET hashes = NULL",
        "UPDATE audit.tile SET ids = NULL, least_id = NULL, greatest_id = NULL WHERE first = 0",
        "UPDATE audit.tile SET ids = ARRAY[NULL::bigint] || ids[2:] WHERE first = 0 AND level = 0",
        "UPDATE audit.tile SET ids = '{}' WHERE first = 0 AND level = 0",
        "UPDATE audit.tile SET first = -256 WHERE first = 256",
        "UPDATE audit.tile SET first = 9223372036854775807 WHERE first = 256",
        "UPDATE audit.tile SET level = -3 WHERE level = 1",
        "UPDATE audit.tile SET level = 300 WHERE level = 1",
        "INSERT INTO audit.tile SELECT workspace, 9, 0, hashes FROM audit.tile WHERE level = 1",
        "INSERT INTO audit.tile SELECT 'nobody', level, first, hashes, ids, least_id, greatest_id FROM audit.tile WHERE workspace = 'acme'",
        "UPDATE audit.head SET size = -5 WHERE event_id = 611",
        "UPDATE audit.head SET size = 9223372036854775807 WHERE event_id = 611",
        "UPDATE audit.head SET root = '' WHERE event_id = 611",
        "ALTER TABLE audit.head ALTER root DROP NOT NULL; UPDATE audit.head SET root = NULL WHERE event_id = 611",
        "INSERT INTO audit.head SELECT 'nobody', size, root, event_id, recorded_at FROM audit.head WHERE event_id = 611",
        "UPDATE audit.checkpoint SET size = -1",
        "UPDATE audit.checkpoint SET size = 9223372036854775807",
        "UPDATE audit.checkpoint SET root = ''",
        "INSERT INTO audit.removal VALUES ('acme', -5, -3, 611)",
        "INSERT INTO audit.removal VALUES ('acme', 9223372036854775800, 9223372036854775807, 611)",
        "INSERT INTO audit.removal VALUES ('nobody', 0, 5, 611)",
        "UPDATE audit.event SET details = '{\"heads\": 5}' WHERE id = 611",
        "UPDATE audit.event SET details = '{\"heads\": [null, {}, 3]}' WHERE id = 611",
        "UPDATE audit.event SET details = '[]' WHERE id = 611",
        "UPDATE audit.event SET targets = ARRAY[NULL] WHERE id = 7",
        "UPDATE audit.event SET occurred_at = 'infinity' WHERE id = 7",
        "UPDATE audit.event SET occurred_at = '-infinity' WHERE id = 7",
        "UPDATE audit.event SET occurred_at = '4000-01-01 BC' WHERE id = 7",
        "UPDATE audit.event SET id = -7 WHERE id = 7",
    ];
    for attack in attacks {
        assert!(!after(&client, attack).await.is_empty(), "{attack}");
    }
    // Events that imitate those of the extension do not stop it, either. An application may not append them.
    let odd = "SELECT audit.append('heads_recorded', 'audit', details => '{\"heads\": {\"a\": 1}}'), \
         audit.append('retention_changed', 'acme', details => '{\"from\": \"a while\", \"to\": 5}'), \
         audit.append('partition_dropped', 'audit', details => '{\"workspaces\": \"acme\"}'), \
         audit.append('events_imported', 'audit', details => '{\"first_id\": \"a\", \"last_id\": {}}')";
    refused(&db.connect_as(&["audit_writer"]).await, odd, "42501").await;
    run(&client, odd).await;
    seal(&client).await;
    assert_eq!(damages(&client).await, ["head_damaged audit 612", "retention_forged acme 613"]);
    refused(&client, "SELECT audit.record_checkpoint(0, sha256(''), '')", "ZA003").await;
    assert_eq!(
        hash(&one::<Vec<u8>>(&client, "SELECT audit.root_at('audit', 0)", &[]).await),
        audit_proof::tree::empty_root()
    );
}
