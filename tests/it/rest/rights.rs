//! Role × route × workspace, over REST and on the admin pages: each token may do what the table of rights says, and nothing
//! else. A foreign workspace answers like one that does not exist.

use std::collections::BTreeSet;

use audit_harness::query::{one, run};
use audit_sidecar::http::rights::{Right, Role};
use audit_sidecar::http::router::document;
use serde_json::json;

use crate::rest::admin_forms::Person;
use crate::rest::bad_input::support::Rest;
use crate::rest::http::{Answer, Request};

/// The workspace of the tokens that have one.
const OWN: &str = "acme";
/// A workspace with the same events.
const FOREIGN: &str = "globex";
/// A name that no event has.
const ABSENT: &str = "nimbus";

/// A route: its method, its path as the router has it, its right, and the request as a path with a body. `{w}` stands for a
/// workspace and `{id}` for an event of it. A route without a right is for everybody.
type Route = (&'static str, &'static str, Option<Right>, &'static str, &'static str);

const REST: &[Route] = &[
    ("GET", "/healthz", None, "/healthz", ""),
    ("GET", "/readyz", None, "/readyz", ""),
    ("GET", "/v1/events", Some(Right::Query), "/v1/events?workspace={w}", ""),
    ("GET", "/v1/events", Some(Right::Query), "/v1/events?workspace={w}&target=ticket:7&max_rows=1", ""),
    ("GET", "/v1/events/{id}", Some(Right::Query), "/v1/events/{id}", ""),
    ("GET", "/v1/activity", Some(Right::Query), "/v1/activity?workspace={w}&group_by=actor", ""),
    ("GET", "/v1/workspaces/{workspace}/feed", Some(Right::Export), "/v1/workspaces/{w}/feed", ""),
    ("GET", "/v1/logs/{workspace}/tile/{level}/{index}", Some(Right::Query), "/v1/logs/{w}/tile/0/0", ""),
    ("GET", "/v1/packs/{name}", Some(Right::Export), "/v1/packs/export?workspace={w}&since=2026-01-01", ""),
    ("GET", "/v1/packs", Some(Right::Query), "/v1/packs", ""),
    ("POST", "/v1/events", Some(Right::Append), "/v1/events", r#"{"action": "a", "workspace": "{w}"}"#),
    ("GET", "/v1/retention", Some(Right::SeeRetention), "/v1/retention?workspace={w}", ""),
    ("GET", "/v1/retention/presets", Some(Right::SeeRetention), "/v1/retention/presets", ""),
    (
        "PUT",
        "/v1/retention",
        Some(Right::SetRetention),
        "/v1/retention",
        r#"{"workspace": "{w}", "retention": "1 year"}"#,
    ),
    ("GET", "/v1/legal-holds", Some(Right::SeeLegalHolds), "/v1/legal-holds?workspace={w}", ""),
    (
        "POST",
        "/v1/legal-holds",
        Some(Right::SetLegalHolds),
        "/v1/legal-holds",
        r#"{"workspace": "{w}", "reason": "case 7"}"#,
    ),
    (
        "POST",
        "/v1/legal-holds/release",
        Some(Right::SetLegalHolds),
        "/v1/legal-holds/release",
        r#"{"workspace": "{w}", "reason": "settled"}"#,
    ),
    (
        "POST",
        "/v1/events/{id}/redact",
        Some(Right::Redact),
        "/v1/events/{id}/redact",
        r#"{"field": "details", "reason": "request 1"}"#,
    ),
    (
        "POST",
        "/v1/viewer-links",
        Some(Right::LinkViewers),
        "/v1/viewer-links",
        r#"{"workspace": "{w}", "role": "viewer", "actor": "user:ada"}"#,
    ),
    ("GET", "/v1/viewer-sessions", Some(Right::LinkViewers), "/v1/viewer-sessions?workspace={w}", ""),
    (
        "DELETE",
        "/v1/viewer-sessions/{session}",
        Some(Right::LinkViewers),
        "/v1/viewer-sessions/0000000000000000000000000000000000000000000000000000000000000000",
        "",
    ),
    ("GET", "/v1/status", Some(Right::SeeStatus), "/v1/status", ""),
    ("GET", "/v1/checkpoint", Some(Right::SeeCheckpoints), "/v1/checkpoint", ""),
    ("GET", "/v1/tile/{level}/{index}", Some(Right::SeeCheckpoints), "/v1/tile/0/0", ""),
    ("POST", "/v1/maintenance", Some(Right::Maintain), "/v1/maintenance", ""),
];

/// A form is sent with the text of the session. Pages of the login have tests of their own.
const PAGES: &[Route] = &[
    ("GET", "/admin/log", Some(Right::Query), "/admin/log?workspace={w}", ""),
    ("GET", "/admin/log/overview", Some(Right::Query), "/admin/log/overview?workspace={w}", ""),
    ("GET", "/admin/log/similar", Some(Right::Query), "/admin/log/similar?workspace={w}&actor=user:adda", ""),
    ("GET", "/admin/log/events.csv", Some(Right::Export), "/admin/log/events.csv?workspace={w}", ""),
    ("GET", "/admin/log/events.ndjson", Some(Right::Export), "/admin/log/events.ndjson?workspace={w}", ""),
    ("GET", "/admin/log/events.zip", Some(Right::Export), "/admin/log/events.zip?workspace={w}", ""),
    ("GET", "/admin/events/{id}", Some(Right::Query), "/admin/events/{id}", ""),
    ("GET", "/admin/events/{id}/details.json", Some(Right::Query), "/admin/events/{id}/details.json", ""),
    ("GET", "/admin/exports", Some(Right::Export), "/admin/exports", ""),
    ("GET", "/admin/evidence", Some(Right::Export), "/admin/evidence", ""),
    (
        "GET",
        "/admin/evidence/pack",
        Some(Right::Export),
        "/admin/evidence/pack?workspace={w}&pack=access-review&from=2026-10-01&to=2026-10-31",
        "",
    ),
    ("GET", "/admin/retention", Some(Right::SeeRetention), "/admin/retention?workspace={w}", ""),
    (
        "GET",
        "/admin/retention/change",
        Some(Right::SetRetention),
        "/admin/retention/change?workspace={w}&number=3&unit=years",
        "",
    ),
    (
        "POST",
        "/admin/retention/change",
        Some(Right::SetRetention),
        "/admin/retention/change",
        "workspace={w}&retention=2 years",
    ),
    (
        "POST",
        "/admin/retention/hold",
        Some(Right::SetLegalHolds),
        "/admin/retention/hold",
        "workspace={w}&reason=case 9&target=t:9",
    ),
    (
        "GET",
        "/admin/retention/release",
        Some(Right::SetLegalHolds),
        "/admin/retention/release?workspace={w}&target=t:9",
        "",
    ),
    (
        "POST",
        "/admin/retention/release",
        Some(Right::SetLegalHolds),
        "/admin/retention/release",
        "workspace={w}&reason=settled&target=t:9",
    ),
    ("GET", "/admin/integrity", Some(Right::SeeIntegrity), "/admin/integrity?workspace={w}", ""),
    ("POST", "/admin/integrity/check", Some(Right::Verify), "/admin/integrity/check", "workspace={w}"),
    ("GET", "/admin/access", Some(Right::ManageAccess), "/admin/access", ""),
    (
        "POST",
        "/admin/access/tokens",
        Some(Right::ManageAccess),
        "/admin/access/tokens",
        "workspace={w}&name=other&role=viewer",
    ),
    ("GET", "/admin/access/revoke", Some(Right::ManageAccess), "/admin/access/revoke?token=000000000000", ""),
    ("POST", "/admin/access/revoke", Some(Right::ManageAccess), "/admin/access/revoke", "token=000000000000"),
    ("POST", "/admin/access/end", Some(Right::ManageAccess), "/admin/access/end", "session=00"),
    ("POST", "/admin/access/end-all", Some(Right::ManageAccess), "/admin/access/end-all", "token=000000000000"),
];

/// Routes of pages that need no right: the login, the start, and the check of a pack, whose test is `admin_evidence`.
const PAGES_ELSEWHERE: &[&str] = &[
    "/admin",
    "/admin/",
    "/admin/login",
    "/admin/link",
    "/admin/link/{secret}",
    "/admin/single-sign-on",
    "/admin/logout",
    "/admin/zone",
    "/admin/evidence/check",
    "/admin/{*path}",
];

struct World {
    rest: Rest,
    /// An event of each workspace. ABSENT has one that does not exist.
    ids: [(&'static str, i64); 3],
}

impl World {
    async fn new() -> Self {
        let rest = Rest::start();
        let client = rest.db.connect().await;
        // Ids that no page has as a number of something else.
        run(&client, "SELECT count(nextval('audit_internal.event_id_seq')) FROM generate_series(1, 70000)").await;
        for workspace in [OWN, FOREIGN] {
            let sql = "SELECT audit.append('login_failed', $1, actor => 'user:ada', target => 'ticket:' || n, \
                       details => jsonb_build_object('of', $1::text)) FROM generate_series(1, 30) n";
            client.query(sql, &[&workspace]).await.unwrap();
        }
        run(&client, "SELECT audit.seal()").await;
        let first = "SELECT min(id) FROM audit.event WHERE workspace = $1";
        let ids = [
            (OWN, one(&client, first, &[&OWN]).await),
            (FOREIGN, one(&client, first, &[&FOREIGN]).await),
            (ABSENT, 1_000_000),
        ];
        Self { rest, ids }
    }

    fn filled(&self, template: &str, workspace: &str) -> String {
        let id = self.ids.iter().find(|(name, _)| *name == workspace).unwrap().1;
        template.replace("{w}", workspace).replace("{id}", &id.to_string())
    }

    /// The words of the answer, with one name for the foreign and the absent workspace. The id of a request is left out.
    fn comparable(&self, answer: &Answer, workspace: &str) -> (u16, String) {
        let id = self.ids.iter().find(|(name, _)| *name == workspace).unwrap().1.to_string();
        let text = String::from_utf8_lossy(&answer.body);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !is_request_id(word));
        let words = words.map(|word| if word == workspace || word == id { "{w}" } else { word });
        (answer.status, words.collect::<Vec<_>>().join(" "))
    }
}

fn is_request_id(word: &str) -> bool {
    word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[tokio::test]
async fn each_cell_of_the_table_answers_as_it_says() {
    let world = World::new().await;
    let mut wrong = Vec::new();
    let mut cells = 0;
    for role in Role::ALL {
        for scope in [Some(OWN), None] {
            let token = world.rest.sidecar.token(&role.to_string(), scope);
            let send_rest = |route: &Route, workspace: &str| {
                let path = world.filled(route.3, workspace);
                let body = world.filled(route.4, workspace);
                let request = match route.4 {
                    "" => Request::get(path).method(route.0),
                    _ => Request::post(path, "application/json", body).method(route.0),
                };
                world.rest.send(request.token(&token))
            };
            cells += check(&world, REST, role, scope, send_rest, &mut wrong);
            if !Right::Query.grant(role).covers(scope.is_none()) {
                continue;
            }
            let person = Person::with_token(&world.rest, &token);
            let send_page = |route: &Route, workspace: &str| {
                let path = world.filled(route.3, workspace);
                let body = world.filled(route.4, workspace);
                if route.0 == "GET" {
                    return person.open(&path);
                }
                let fields: Vec<(&str, &str)> = body.split('&').filter_map(|field| field.split_once('=')).collect();
                person.submit(&path, &fields)
            };
            cells += check(&world, PAGES, role, scope, send_page, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{} of {cells} cells:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cells > 1000, "{cells}");
}

/// Tries each route with each workspace, notes what is wrong, and returns the number of cells.
fn check(
    world: &World,
    routes: &[Route],
    role: Role,
    scope: Option<&str>,
    send: impl Fn(&Route, &str) -> Answer,
    wrong: &mut Vec<String>,
) -> usize {
    let mut cells = 0;
    for route in routes {
        let names = |part: &str| route.3.contains(part) || route.4.contains(part);
        let has_right = route.2.is_none_or(|right| right.grant(role).covers(scope.is_none()));
        let answers = [OWN, FOREIGN, ABSENT].map(|workspace| (workspace, send(route, workspace)));
        for (workspace, answer) in &answers {
            cells += 1;
            let is_foreign = scope.is_some() && *workspace != OWN && (names("{w}") || names("{id}"));
            let is_refused = [401, 403].contains(&answer.status);
            let is_right = match (has_right, is_foreign) {
                (false, _) => answer.status == 403,
                // An id of a foreign event answers like one that no event has.
                (true, true) => is_refused && names("{w}") || answer.status == 404 && names("{id}"),
                // Some requests find nothing, and others have been made before. Those have errors of their own.
                (true, false) => !is_refused && answer.status < 500,
            };
            if !is_right {
                wrong.push(format!(
                    "{role} {scope:?} {} {} {workspace}: {} {}",
                    route.0,
                    route.3,
                    answer.status,
                    brief(answer)
                ));
            }
        }
        let [_, (_, foreign), (_, absent)] = &answers;
        let (foreign, absent) = (world.comparable(foreign, FOREIGN), world.comparable(absent, ABSENT));
        if scope.is_some() && foreign != absent {
            wrong.push(format!("{role} {scope:?} {} {}: {}", route.0, route.3, difference(&foreign.1, &absent.1)));
        }
    }
    cells
}

/// The words in which two texts differ.
fn difference(one: &str, other: &str) -> String {
    let pairs = one.split(' ').zip(other.split(' ')).filter(|(one, other)| one != other);
    pairs.take(8).map(|(one, other)| format!("{one} is not {other}")).collect::<Vec<_>>().join(", ")
}

fn brief(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).chars().take(300).collect()
}

#[tokio::test]
async fn a_refusal_names_the_right_and_a_token_that_has_it() {
    let world = World::new().await;
    for role in Role::ALL {
        let token = world.rest.sidecar.token(&role.to_string(), Some(OWN));
        for route in REST {
            let Some(right) = route.2.filter(|right| !right.grant(role).covers(false)) else { continue };
            let path = world.filled(route.3, OWN);
            let request = match route.4 {
                "" => Request::get(path).method(route.0),
                body => Request::post(path, "application/json", world.filled(body, OWN)).method(route.0),
            };
            let error = &world.rest.send(request.token(&token)).json()["error"];
            let message = format!("a token of role {role} may not {}", right.what());
            assert_eq!((&error["message"], &error["hint"]), (&json!(message), &json!(right.hint())), "{route:?}");
        }
    }
}

/// A route without a row in the tables would not be tried.
#[test]
fn every_route_is_in_the_tables() {
    let document = serde_json::to_value(document()).unwrap();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let tried: BTreeSet<(String, String)> = REST.iter().map(|route| (route.0.to_owned(), route.1.to_owned())).collect();
    assert_eq!(described, tried);

    let router = include_str!("../../../sidecar/src/admin/router.rs");
    let routed: BTreeSet<&str> = router.split(".route(").skip(1).filter_map(|rest| rest.split('"').nth(1)).collect();
    let tried: BTreeSet<&str> = PAGES.iter().map(|route| route.1).chain(PAGES_ELSEWHERE.iter().copied()).collect();
    let missing: Vec<_> = routed.iter().filter(|path| path.starts_with("/admin") && !tried.contains(**path)).collect();
    assert!(missing.is_empty() && routed.len() > 20, "{missing:?} of {routed:?}");
    let rights: BTreeSet<String> =
        REST.iter().chain(PAGES).filter_map(|route| route.2.map(|right| format!("{right:?}"))).collect();
    assert_eq!(rights, Right::ALL.iter().map(|right| format!("{right:?}")).collect());
}
