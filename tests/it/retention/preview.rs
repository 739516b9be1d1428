//! The preview of a retention, and how long one event is kept. Both agree with what really happens.

use audit_harness::database::Database;
use audit_harness::query::{all, one, refused, run};
use tokio_postgres::Client;

/// Events of two workspaces on each of the last 395 days. Every fifth is of customer:17, and every tenth has no actor.
const EVENTS: &str = "
    SELECT audit.import(jsonb_agg(jsonb_build_object(
        'action', 'x', 'workspace', w, 'actor', CASE WHEN n % 10 > 0 THEN 'user:' || n % 3 END,
        'targets', CASE WHEN n % 5 = 0 THEN '[\"customer:17\"]'::jsonb ELSE '[]' END,
        'occurred_at', to_char((now() - n * interval '24 hours') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))))
    FROM generate_series(0, 394) n, unnest('{acme,globex}'::text[]) w";

/// The events that queries show, without those of category audit.
const SHOWN: &str = "SELECT count(*) FROM audit.events('acme', action => 'x', since => '-infinity', max_rows => 10000)";

const AT_ONCE: &str =
    "SELECT events FROM audit.preview_retention('acme', $1::text::interval) WHERE month IS NULL AND is_exact";

async fn database() -> (Database, Client) {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, EVENTS).await;
    (db, client)
}

#[tokio::test]
async fn a_preview_tells_what_a_change_hides() {
    let (_db, client) = database().await;
    run(&client, "SELECT audit.place_legal_hold('acme', 'case 7', target => 'customer:17', actor => 'user:1')").await;
    for retention in ["3 years", "12 months", "200 days", "60 days"] {
        let told: i64 = one(&client, AT_ONCE, &[&retention]).await;
        let before: i64 = one(&client, SHOWN, &[]).await;
        run(&client, &format!("SELECT audit.set_retention('acme', '{retention}')")).await;
        let after: i64 = one(&client, SHOWN, &[]).await;
        assert_eq!(told, before - after, "{retention}");
    }
    assert_eq!(one::<i64>(&client, AT_ONCE, &[&"60 days"]).await, 0, "nothing more to hide");
    run(&client, "SELECT audit.place_legal_hold('acme', 'case 8')").await;
    let told = "SELECT sum(events)::bigint FROM audit.preview_retention('acme', '60 days')";
    assert_eq!(one::<i64>(&client, told, &[]).await, 0, "a hold keeps everything");
}

#[tokio::test]
async fn months_have_the_events_whose_last_day_they_hold() {
    let (_db, client) = database().await;
    run(&client, "SELECT audit.place_legal_hold('acme', 'case 7', target => 'customer:17')").await;
    for retention in ["13 months", "6 months", "200 days"] {
        run(&client, &format!("SELECT audit.set_retention('acme', '{retention}')")).await;
        let wrong: Vec<String> = all(
            &client,
            "SELECT concat_ws(' ', p.month, p.events, e.events)
             FROM audit.preview_retention('acme', NULL, 14) p
             FULL JOIN (SELECT date_trunc('month', k.kept_until::timestamp)::date AS month, count(*) AS events
                        FROM audit.event e, audit.keeping(e.workspace, e.occurred_at, e.actor, e.targets) k
                        WHERE e.workspace = 'acme' AND k.legal_holds = 0 AND k.kept_until >= (now() AT TIME ZONE 'UTC')::date
                        GROUP BY 1) e ON e.month = p.month AND p.first_day <= p.last_day
             WHERE coalesce(p.events, 0) <> coalesce(e.events, 0)",
            &[],
        )
        .await;
        // Events about the audit log itself are new, so their last day is within the months.
        assert_eq!(wrong, Vec::<String>::new(), "{retention}");
    }
}

#[tokio::test]
async fn keeping_agrees_with_what_queries_show() {
    let (_db, client) = database().await;
    for hold in ["target => 'customer:17'", "actor => 'user:2'", "target => 'customer:17', actor => 'user:1'"] {
        run(&client, &format!("SELECT audit.place_legal_hold('acme', 'case', {hold})")).await;
    }
    run(&client, "SELECT audit.set_retention('acme', '90 days'), audit.place_legal_hold('globex', 'all of it')").await;
    for workspace in ["acme", "globex"] {
        let differing = "SELECT count(*) FROM audit.event e, audit.keeping(e.workspace, e.occurred_at, e.actor, e.targets) k
            WHERE e.workspace = $1 AND e.action = 'x' AND (k.legal_holds > 0 OR k.kept_until >= (now() AT TIME ZONE 'UTC')::date)
                <> (e.id IN (SELECT id FROM audit.events($1, since => '-infinity', max_rows => 10000)))";
        assert_eq!(one::<i64>(&client, differing, &[&workspace]).await, 0, "{workspace}");
    }
    let covering = "SELECT legal_holds FROM audit.keeping('acme', now(), 'user:1', '{customer:17}')";
    assert_eq!(one::<i64>(&client, covering, &[]).await, 2);
}

#[tokio::test]
async fn what_cannot_be_counted_soon_is_estimated() {
    let db = Database::new();
    let client = db.connect().await;
    run(
        &client,
        "SELECT audit_internal.create_partitions(ARRAY(SELECT (now() + n * interval '10 days')::date FROM generate_series(28, 31) n));
         INSERT INTO audit.event
         SELECT nextval('audit_internal.event_id_seq'), t, t, '1', audit_internal.expires_on(t, '13 months'), 'acme', 'other', 'x', 'success',
                NULL, '{}', NULL, NULL, NULL, NULL, 'app', NULL, NULL, '{}', '\\x00'
         FROM generate_series(1, 210000) n, LATERAL (SELECT now() - interval '100 days' - n * interval '1 second' AS t) t;
         ANALYZE audit.event",
    )
    .await;
    let told = client.query_one("SELECT events, is_exact FROM audit.preview_retention('acme', '60 days') LIMIT 1", &[]);
    let told = told.await.unwrap();
    let (events, is_exact): (i64, bool) = (told.get(0), told.get(1));
    assert!(!is_exact && (200_001..=230_000).contains(&events), "{events}");
}

#[tokio::test]
async fn arguments_are_checked_as_those_of_a_change() {
    let db = Database::new();
    let client = db.connect().await;
    for (call, sqlstate) in [
        ("audit.preview_retention('acme', '59 days')", "ZA011"),
        ("audit.preview_retention('acme', '2 months')", "ZA011"),
        ("audit.preview_retention('acme', '101 years')", "ZA011"),
        ("audit.preview_retention('acme', '1 year 1 hour')", "ZA011"),
        ("audit.preview_retention(NULL)", "ZA003"),
        ("audit.preview_retention('acme', NULL, 0)", "ZA003"),
        ("audit.preview_retention('acme', NULL, 121)", "ZA003"),
        ("audit.keeping('', now())", "ZA003"),
    ] {
        refused(&client, &format!("SELECT {call}"), sqlstate).await;
    }
    let reader = db.connect_as(&["audit_reader"]).await;
    run(&reader, "SELECT audit.keeping('acme', now())").await;
    let writer = db.connect_as(&["audit_writer"]).await;
    refused(&writer, "SELECT audit.preview_retention('acme')", "42501").await;
}
