//! Helpers for tests of logs: sealing everything, reading the tiles, and a naive tree.

use std::collections::BTreeMap;

use audit_proof::tree::{Hash, empty_root, node_hash};
use tokio_postgres::Client;

use audit_harness::query::{all, one};

/// Seals until no event is left, and returns the number of sealed events.
pub async fn seal(client: &Client) -> i64 {
    let mut sealed = 0;
    loop {
        match one::<i64>(client, "SELECT audit.seal()", &[]).await {
            0 => return sealed,
            more => sealed += more,
        }
    }
}

/// Seals, records the heads, and seals the events of the heads.
pub async fn record_heads(client: &Client) {
    one::<i64>(client, "SELECT audit.record_heads()", &[]).await;
    seal(client).await;
}

/// Returns the damage that `audit.verify` reports, as "kind workspace event", in order.
pub async fn damages(client: &Client) -> Vec<String> {
    let verify = "SELECT concat_ws(' ', d.kind, d.workspace, d.event_id) FROM audit.verify() d ORDER BY d.kind, d.workspace, d.event_id";
    all(client, verify, &[]).await
}

/// Verifies the audit log and compares events with leaves. Each event must have one leaf in its workspace log, and
/// each leaf must have its event unless retention has removed it.
pub async fn check(client: &Client, when: &str) {
    let verify = "SELECT d::text FROM audit.verify() d";
    assert_eq!(all::<String>(client, verify, &[]).await, Vec::<String>::new(), "{when}");
    let odd = "SELECT format('event %s, %s rows, %s leaves', coalesce(e.id, l.id), e.rows, l.leaves) \
               FROM (SELECT id, workspace, count(*) AS rows FROM audit.event GROUP BY id, workspace) e \
               FULL JOIN (SELECT l.id, o.workspace, count(*) AS leaves \
                          FROM audit.log o, audit.leaves(o.workspace) l \
                          WHERE NOT EXISTS (SELECT FROM audit.removal r \
                                            WHERE r.workspace = o.workspace AND l.leaf >= r.first AND l.leaf < r.beyond) \
                          GROUP BY l.id, o.workspace) l ON l.id = e.id AND l.workspace = e.workspace \
               WHERE e.rows IS DISTINCT FROM 1 OR l.leaves IS DISTINCT FROM 1";
    assert_eq!(all::<String>(client, odd, &[]).await, Vec::<String>::new(), "{when}");
    let not_found = "SELECT format('event %s of leaf %s', l.id, l.leaf) FROM audit.log o, audit.leaves(o.workspace) l \
                     WHERE audit.leaf_of(o.workspace, l.id) IS DISTINCT FROM l.leaf";
    assert_eq!(all::<String>(client, not_found, &[]).await, Vec::<String>::new(), "{when}");
    let too_many = "SELECT count(audit.leaf_of('audit', e.id)) FROM audit.event e WHERE e.workspace <> 'audit'";
    assert_eq!(one::<i64>(client, too_many, &[]).await, 0, "{when}");
}

/// Returns the ids of all events, without those of category audit.
pub async fn ids(client: &Client) -> Vec<i64> {
    all(client, "SELECT id FROM audit.event WHERE workspace <> 'audit' ORDER BY id", &[]).await
}

/// Returns the leaf hashes of a log, in order.
pub async fn hashes(client: &Client, workspace: &str) -> Vec<Hash> {
    let leaves = client.query("SELECT leaf, hash FROM audit.leaves($1) ORDER BY leaf", &[&workspace]).await.unwrap();
    let hashes = leaves.iter().enumerate().map(|(index, row)| {
        assert_eq!(row.get::<_, i64>(0), index as i64);
        hash(row.get(1))
    });
    hashes.collect()
}

/// Returns the stored size and root of each log.
pub async fn heads(client: &Client) -> BTreeMap<String, (u64, Hash)> {
    let rows = client.query("SELECT workspace, size, root FROM audit.log", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), (row.get::<_, i64>(1) as u64, hash(row.get(2))))).collect()
}

/// Converts a proof to its hashes.
pub fn path(proof: Vec<Vec<u8>>) -> Vec<Hash> {
    proof.iter().map(|bytes| hash(bytes)).collect()
}

pub fn hash(bytes: &[u8]) -> Hash {
    bytes.try_into().expect("a hash has 32 bytes")
}

/// Computes the root by the definition of RFC 6962, section 2.1.
pub fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let mut left = 1;
            while left * 2 < leaves.len() {
                left *= 2;
            }
            node_hash(&naive_root(&leaves[..left]), &naive_root(&leaves[left..]))
        }
    }
}
