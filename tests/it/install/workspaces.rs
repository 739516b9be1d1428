//! Workspaces apart: a role that is bound to some workspaces sees those alone, on every path.

mod grants;
mod identity;
pub(super) mod matrix;
mod statistics;
mod verify;

use audit_harness::database::{Database, connect};
use audit_harness::query::{explain, one, run};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::log::naive::seal;

/// The workspace that is granted to the bound role.
const OWN: &str = "acme";
/// A workspace with events, which is not granted to it.
const FOREIGN: &str = "globex";
/// A name that no event has. It is not granted either.
const ABSENT: &str = "nimbus";

/// A database with the same data in the workspaces OWN and FOREIGN, and roles of each kind.
pub(super) struct World {
    pub(super) db: Database,
    pub(super) admin: Client,
    /// The name of the bound role. OWN is granted to it.
    bound: String,
}

impl World {
    pub(super) async fn new() -> World {
        let db = Database::new();
        let admin = db.connect().await;
        for workspace in [OWN, FOREIGN] {
            run(&admin, &DATA.replace("{w}", workspace)).await;
        }
        seal(&admin).await;
        run(&admin, "SELECT audit.record_heads(); SELECT audit.record_heads(); ANALYZE").await;
        let bound = db.role(&["audit_workspace_reader"]);
        run(&admin, &format!("SELECT audit.grant_workspace('{bound}', '{OWN}')")).await;
        World { db, admin, bound }
    }

    pub(super) async fn login(&self, role: &str) -> Client {
        connect(self.db.config().user(role)).await
    }

    /// An id of an event of the workspace, or one that no event has.
    pub(super) async fn id_in(&self, workspace: &str) -> i64 {
        let sql = "SELECT coalesce(min(id), 1000000) FROM audit.event WHERE workspace = $1";
        one(&self.admin, sql, &[&workspace]).await
    }
}

const DATA: &str = "SELECT audit.append('login_failed', '{w}', actor => 'user:ada', target => 'ticket:' || i, idempotency_key => '{w}-' || i, \
                                        details => '{\"secret_of\": \"{w}\"}') FROM generate_series(1, 300) i; \
    SELECT audit.set_retention('{w}', '400 days'); \
    SELECT audit.place_legal_hold('{w}', 'case 7'); SELECT audit.release_legal_hold('{w}', 'settled'); \
    SELECT audit.redact((SELECT min(id) FROM audit.event WHERE workspace = '{w}'), 'actor', 'asked for');";

/// The answer to a statement: its rows as text, or its SQLSTATE and its message with all that belongs to it.
pub(super) type Answer = Result<Vec<Vec<Option<String>>>, (String, String)>;

pub(super) async fn answer(client: &Client, sql: &str) -> Answer {
    match client.simple_query(sql).await {
        Ok(messages) => Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
                _ => None,
            })
            .collect()),
        Err(error) => Err((error.code().expect("an error of the server").code().to_owned(), explain(&error))),
    }
}

/// The same answer with one name in the place of another.
fn renamed(answer: &Answer, from: &str, to: &str) -> Answer {
    let rename = |text: &String| text.replace(from, to);
    match answer {
        Ok(rows) => Ok(rows.iter().map(|row| row.iter().map(|cell| cell.as_ref().map(rename)).collect()).collect()),
        Err((code, message)) => Err((code.clone(), rename(message))),
    }
}

fn is_refused(answer: &Answer) -> bool {
    matches!(answer, Err((code, _)) if code == "42501")
}
