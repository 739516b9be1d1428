//! Retention, legal holds, maintenance and status, through REST and from the command line.

use std::process::Output;

use serde_json::{Value, json};

use audit_harness::database::Database;
use audit_harness::query::{one, run};

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::{Answer, Request};
use crate::support::open_guard;

const RETENTION: &str = "/v1/retention";
const HOLDS: &str = "/v1/legal-holds";
const RELEASE: &str = "/v1/legal-holds/release";

fn post(path: &str, body: Value) -> Request {
    Request::post(path, "application/json", body.to_string())
}

fn put(path: &str, body: Value) -> Request {
    post(path, body).method("PUT")
}

impl Rest {
    fn set(&self, body: Value) -> Answer {
        self.send(put(RETENTION, body).token(&self.admin))
    }

    fn place(&self, body: Value) -> Answer {
        self.send(post(HOLDS, body).token(&self.admin))
    }

    fn release(&self, body: Value) -> Answer {
        self.send(post(RELEASE, body).token(&self.admin))
    }

    /// Returns the newest event of an action in `acme`, as an object of its columns.
    async fn told(&self, action: &str) -> Value {
        let newest = "SELECT to_jsonb(e) FROM audit.events('acme', action => $1, max_rows => 1) e";
        one(&self.db.connect().await, newest, &[&action]).await
    }

    async fn how_often_told(&self, action: &str) -> i64 {
        one(&self.db.connect().await, "SELECT count(*) FROM audit.event WHERE action = $1", &[&action]).await
    }
}

fn actor(token: &str) -> String {
    format!("token:{}", token.split('_').nth(1).unwrap())
}

#[tokio::test]
async fn retention_can_be_read_and_set() {
    let rest = Rest::start();
    rest.post(r#"[{"action":"a"},{"action":"b"}]"#).ok();
    let state = rest.get(RETENTION).ok().json();
    // Retention is a setting, so reading it records no event.
    assert_eq!(state["events"], 4, "the test appends two events and creates two tokens: {state}");
    assert!(state["bytes"].as_i64().unwrap() > 0 && state["oldest"].is_string(), "{state}");
    for (name, value) in [
        ("workspace", json!("acme")),
        ("retention", json!("13 months")),
        ("presets", json!(["default"])),
        ("since", json!(null)),
        ("set_by", json!(null)),
        ("to_remove", json!(0)),
        ("legal_holds", json!(0)),
    ] {
        assert_eq!(state[name], value, "{name}");
    }
    assert_eq!(rest.get(RETENTION).ok().json(), state);

    for (choice, retention, presets) in [
        (json!({"retention": "90 days"}), "90 days", json!([])),
        (json!({"preset": "HIPAA"}), "6 years", json!(["hipaa"])),
        (json!({"retention": "P12M"}), "1 year", json!(["pci-dss"])),
        (json!({"retention": "2 months 5 days", "preset": null}), "2 months 5 days", json!([])),
        (json!({"retention": "13 months"}), "13 months", json!(["default"])),
    ] {
        let mut body = choice.clone();
        body["workspace"] = "acme".into();
        let answered = rest.set(body).ok().json();
        assert_eq!((&answered["retention"], &answered["presets"]), (&json!(retention), &presets), "{choice}");
        assert_eq!(answered["set_by"], actor(&rest.admin));
        assert_eq!(rest.get(RETENTION).ok().json(), answered);
        // The returned form of a retention can be set unchanged.
        rest.set(json!({"workspace": "acme", "retention": retention})).ok();
    }
    assert_eq!(rest.how_often_told("retention_changed").await, 5, "setting the same retention must record no event");

    let presets = rest.get("/v1/retention/presets").ok().json();
    let presets = presets["presets"].as_array().unwrap();
    let hipaa = presets.iter().find(|preset| preset["preset"] == "hipaa").unwrap();
    assert_eq!(hipaa["retention"], "6 years");
    assert!(presets.iter().all(|preset| !preset["source"].as_str().unwrap().is_empty()), "{presets:?}");
}

#[tokio::test]
async fn retention_is_shown_even_if_counting_times_out() {
    let rest = Rest::on(Database::new(), &["--statement-timeout", "2s"]);
    rest.set(json!({"workspace": "acme", "preset": "sox"})).ok();
    let counted = rest.get(RETENTION).ok().json();
    let mut other = rest.db.connect().await;
    let other = other.transaction().await.unwrap();
    other.batch_execute("LOCK TABLE audit.event").await.unwrap();
    let mut expected = counted.clone();
    for count in ["events", "bytes", "oldest", "to_remove"] {
        expected[count] = Value::Null;
    }
    assert_eq!(rest.get(RETENTION).ok().json(), expected);
    let told = printed(rest.sidecar.run(&["retention", "show", "--workspace", "acme", "--statement-timeout", "1s"]));
    assert!(told.contains("7 years (sox)") && told.contains("not counted"), "{told}");
    other.rollback().await.unwrap();
    assert_eq!(rest.get(RETENTION).ok().json(), counted);
}

#[tokio::test]
async fn a_legal_hold_is_placed_and_released() {
    let rest = Rest::start();
    let list = |path: &str| rest.get(path).ok().json()["legal_holds"].as_array().unwrap().clone();
    assert_eq!(list(HOLDS), Vec::<Value>::new());

    let order = json!({"workspace": "acme", "reason": "Case 7", "target": "customer:17"});
    let placed = rest.place(order.clone());
    assert_eq!(placed.status, 201);
    let placed = placed.json();
    assert_eq!(
        (&placed["reason"], &placed["target"], &placed["actor"]),
        (&json!("Case 7"), &json!("customer:17"), &json!(null))
    );
    assert_eq!((&placed["placed_by"], &placed["released_at"]), (&json!(actor(&rest.admin)), &json!(null)));
    let error = refused(rest.place(order.clone()), 409, "legal_hold_conflict");
    assert!(error["hint"].as_str().unwrap().contains("/v1/legal-holds?active=true"), "{error}");
    rest.place(json!({"workspace": "acme", "reason": "Case 8"})).ok();
    rest.place(json!({"workspace": "acme", "reason": "Case 8", "target": "customer:17", "actor": "user:eve"})).ok();
    rest.place(json!({"workspace": "globex", "reason": "Case 9"})).ok();
    assert_eq!(list(HOLDS).len(), 3);
    assert_eq!(list(HOLDS).last(), Some(&placed));
    assert_eq!(rest.get(RETENTION).ok().json()["legal_holds"], 3);

    // A hold with another extent is another hold.
    for none in [json!({"actor": "user:eve"}), json!({"target": "customer:1"})] {
        let mut order = none.clone();
        order["workspace"] = "acme".into();
        order["reason"] = "settled".into();
        refused(rest.release(order), 409, "legal_hold_conflict");
    }
    let over = json!({"workspace": "acme", "reason": "settled", "target": "customer:17"});
    let released = rest.release(over.clone()).ok().json();
    for (name, value) in [
        ("placed_at", placed["placed_at"].clone()),
        ("reason", json!("Case 7")),
        ("release_reason", json!("settled")),
        ("released_by", json!(actor(&rest.admin))),
    ] {
        assert_eq!(released[name], value, "{name}");
    }
    refused(rest.release(over), 409, "legal_hold_conflict");
    assert_eq!(list(&format!("{HOLDS}?active=false")), [released]);
    assert_eq!(list(&format!("{HOLDS}?active=true")).len(), 2);
    assert_eq!(list(HOLDS).len(), 3);
    // A released hold can be placed again, and the answer shows the new one.
    let again = rest.place(order).ok().json();
    assert!(again["released_at"].is_null() && again["placed_at"] != placed["placed_at"], "{again}");
}

#[tokio::test]
async fn events_of_changes_name_the_caller() {
    let rest = Rest::start();
    let from = |request: Request, id: &str| {
        let request = request.token(&rest.admin).header("X-Request-Id", id).header("User-Agent", "browser/1");
        rest.send(request).ok();
    };
    from(put(RETENTION, json!({"workspace": "acme", "retention": "7 years"})), "req-1");
    from(post(HOLDS, json!({"workspace": "acme", "reason": "Case 7", "actor": "user:eve"})), "req-2");
    from(post(RELEASE, json!({"workspace": "acme", "reason": "settled", "actor": "user:eve"})), "req-3");
    for (action, id, targets, details) in [
        ("retention_changed", "req-1", json!(["workspace:acme"]), json!({"from": "1 year 1 mon", "to": "7 years"})),
        (
            "legal_hold_placed",
            "req-2",
            json!(["workspace:acme", "user:eve"]),
            json!({"reason": "Case 7", "target": null, "actor": "user:eve"}),
        ),
        (
            "legal_hold_released",
            "req-3",
            json!(["workspace:acme", "user:eve"]),
            json!({"reason": "settled", "target": null, "actor": "user:eve"}),
        ),
    ] {
        let event = rest.told(action).await;
        for (column, value) in [
            ("actor", json!(actor(&rest.admin))),
            ("request_id", json!(id)),
            ("ip", json!("127.0.0.1")),
            ("user_agent", json!("browser/1")),
            ("targets", targets),
            ("details", details),
        ] {
            assert_eq!(event[column], value, "{action} {column}");
        }
    }
    // The settings of one request do not carry over to the next request on the same connection.
    rest.post(r#"{"action":"a"}"#).ok();
    let event = rest.told("a").await;
    assert_eq!((&event["actor"], &event["request_id"]), (&json!(null), &json!(null)), "{event}");
}

/// Returns every request that needs a token, with the roles that may send it.
fn requests(workspace: &str) -> Vec<(&'static str, Request, &'static [&'static str])> {
    let order = json!({"workspace": workspace, "reason": "Case 7"});
    vec![
        ("retention", Request::get(format!("{RETENTION}?workspace={workspace}")), &["viewer", "auditor", "admin"]),
        ("presets", Request::get("/v1/retention/presets"), &["viewer", "auditor", "admin"]),
        ("set retention", put(RETENTION, json!({"workspace": workspace, "retention": "1 year"})), &["admin"]),
        ("holds", Request::get(format!("{HOLDS}?workspace={workspace}")), &["auditor", "admin"]),
        ("place", post(HOLDS, order.clone()), &["admin"]),
        ("release", post(RELEASE, order), &["admin"]),
        ("status", Request::get("/v1/status"), &["admin of all", "viewer of all", "auditor of all"]),
        ("maintain", Request::get("/v1/maintenance").method("POST"), &["admin of all"]),
    ]
}

#[tokio::test]
async fn each_role_has_exactly_its_rights() {
    let rest = Rest::start();
    for role in ["viewer", "auditor", "writer", "admin"] {
        for workspace in [Some("acme"), None] {
            let token = rest.sidecar.token(role, workspace);
            let everywhere = format!("{role} of all");
            for (what, request, roles) in requests("acme") {
                let before = rest.how_often_told("retention_changed").await;
                let answer = rest.send(request.token(&token));
                if roles.contains(&role) || workspace.is_none() && roles.contains(&everywhere.as_str()) {
                    assert_eq!(answer.status / 100, 2, "{role} {workspace:?} {what}: {}", answer.text());
                } else {
                    let error = refused(answer, 403, "forbidden");
                    assert!(error["message"].as_str().unwrap().contains(role) && error["hint"].is_string(), "{error}");
                    assert_eq!(rest.how_often_told("retention_changed").await, before);
                }
            }
        }
    }
    for (_, request, _) in requests("acme") {
        refused(rest.send(request.clone()), 401, "unauthorized");
        refused(rest.send(request.token("audit_x")), 401, "unauthorized");
    }
}

#[tokio::test]
async fn a_token_of_one_workspace_is_confined_to_it() {
    let rest = Rest::start();
    let token = rest.sidecar.token("admin", Some("acme"));
    for (what, request, _) in requests("globex") {
        if !["presets", "status", "maintain"].contains(&what) {
            refused(rest.send(request.token(&token)), 403, "wrong_workspace");
        }
    }
    // Without a workspace, the request concerns the token's own. A token for all workspaces must name one.
    for request in [
        Request::get(RETENTION),
        Request::get(HOLDS),
        put(RETENTION, json!({"retention": "1 year"})),
        post(HOLDS, json!({"reason": "Case 7"})),
        post(RELEASE, json!({"reason": "settled"})),
    ] {
        rest.send(request.clone().token(&token)).ok();
        refused(rest.send(request.token(&rest.admin)), 400, "missing_workspace");
    }
    let globex: i64 =
        one(&rest.db.connect().await, "SELECT count(*) FROM audit.event WHERE workspace = 'globex'", &[]).await;
    assert_eq!(globex, 0);
}

#[tokio::test]
async fn invalid_requests_change_nothing() {
    let rest = Rest::start();
    let with = |fields: Value| {
        let mut body = json!({"workspace": "acme"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    for (fields, code) in [
        (json!({"retention": "59 days"}), "invalid_retention"),
        (json!({"retention": "2 months"}), "invalid_retention"),
        (json!({"retention": "-1 year"}), "invalid_retention"),
        (json!({"retention": "101 years"}), "invalid_retention"),
        (json!({"retention": "60 days 1 hour"}), "invalid_retention"),
        (json!({"retention": "13"}), "invalid_retention"),
        (json!({"retention": "a while"}), "invalid_value"),
        (json!({"retention": ""}), "invalid_value"),
        (json!({"retention": "1 year\u{0}"}), "invalid_value"),
        (json!({"retention": "9".repeat(60_000)}), "invalid_value"),
        (json!({"retention": "999999999999 years"}), "invalid_value"),
        (json!({"retention": 13}), "invalid_value"),
        (json!({"retention": ["1 year"]}), "invalid_value"),
        (json!({"preset": "iso"}), "invalid_value"),
        (json!({"preset": ""}), "invalid_value"),
        (json!({"retention": "1 year", "preset": "sox"}), "invalid_value"),
        (json!({}), "invalid_value"),
        (json!({"retention": "1 year", "reason": "why not"}), "invalid_value"),
        (json!({"retention": "1 year", "workspace": ""}), "invalid_value"),
        (json!({"retention": "1 year", "workspace": "a\nb"}), "invalid_value"),
        (json!({"retention": "1 year", "workspace": "x".repeat(201)}), "invalid_value"),
        (json!({"retention": "1 year", "workspace": 5}), "invalid_value"),
    ] {
        refused(rest.set(with(fields)), 400, code);
    }
    let error = refused(rest.set(with(json!({"retention": "59 days"}))), 400, "invalid_retention");
    assert!(error["message"].as_str().unwrap().contains("60 days"), "{error}");
    assert!(!error["hint"].as_str().unwrap().contains("interval"), "{error}");
    let error = refused(rest.set(with(json!({"retention": "a while"}))), 400, "invalid_value");
    assert!(error["message"].as_str().unwrap().contains("a while") && error["hint"].is_string(), "{error}");
    let error = refused(rest.set(with(json!({"preset": "iso"}))), 400, "invalid_value");
    assert!(error["hint"].as_str().unwrap().contains("/v1/retention/presets"), "{error}");

    for fields in [
        json!({}),
        json!({"reason": ""}),
        json!({"reason": " \n"}),
        json!({"reason": "x".repeat(4001)}),
        json!({"reason": "x", "target": ""}),
        json!({"reason": "x", "actor": "x".repeat(1001)}),
        json!({"reason": "x\u{0}"}),
        json!({"reason": 5}),
        json!({"reason": null}),
        json!({"reason": "x", "targets": ["customer:17"]}),
        json!({"reason": "x", "until": "2030-01-01"}),
    ] {
        refused(rest.place(with(fields.clone())), 400, "invalid_value");
        refused(rest.release(with(fields)), 400, "invalid_value");
    }

    let admin = |request: Request| rest.send(request.token(&rest.admin));
    for path in [RETENTION, HOLDS, RELEASE] {
        let method = if path == RETENTION { "PUT" } else { "POST" };
        let send = |media: &str, body: &[u8]| admin(Request::post(path, media, body).method(method));
        let json = "application/json";
        refused(send("text/plain", b"{}"), 415, "unsupported_media_type");
        refused(admin(Request::get(path).method(method)), 415, "unsupported_media_type");
        refused(send(json, b""), 400, "invalid_json");
        refused(send(json, b"{\"workspace\": \"acme\""), 400, "invalid_json");
        refused(send(json, b"{\"workspace\": \"\xff\"}"), 400, "invalid_utf8");
        for body in [r#"["acme", "x"]"#, "5", "null", r#"{"workspace": "acme", "workspace": "acme"}"#] {
            refused(send(json, body.as_bytes()), 400, "invalid_value");
        }
        refused(send(json, format!(r#"{{"reason": "{}"}}"#, "x".repeat(70_000)).as_bytes()), 413, "body_too_large");
        refused(
            admin(Request::post(format!("{path}?workspace=acme"), json, "{}").method(method)),
            400,
            "unknown_parameter",
        );
    }
    refused(admin(Request::post("/v1/maintenance", "application/json", "{}")), 400, "invalid_value");
    for path in ["/v1/maintenance?max_rows=1", "/v1/status?workspace=acme", "/v1/retention/presets?workspace=acme"] {
        let method = if path.starts_with("/v1/maintenance") { "POST" } else { "GET" };
        refused(admin(Request::get(path).method(method)), 400, "unknown_parameter");
    }
    for query in [
        "/v1/legal-holds?workspace=acme&active=yes",
        "/v1/legal-holds?workspace=acme&active=",
        "/v1/retention?workspace=",
        "/v1/retention?workspace=a%0Ab",
    ] {
        refused(admin(Request::get(query)), 400, "invalid_value");
    }
    refused(admin(Request::get("/v1/retention?workspace=acme&workspace=acme")), 400, "repeated_parameter");
    for (path, method) in [(RETENTION, "DELETE"), (HOLDS, "PUT"), ("/v1/maintenance", "GET"), ("/v1/status", "POST")] {
        refused(admin(Request::get(path).method(method)), 405, "method_not_allowed");
    }
    for action in ["retention_changed", "legal_hold_placed", "legal_hold_released"] {
        assert_eq!(rest.how_often_told(action).await, 0, "{action}");
    }
}

#[tokio::test]
async fn a_change_does_not_wait_forever() {
    let rest = Rest::start();
    let mut other = rest.db.connect().await;
    let other = other.transaction().await.unwrap();
    other.batch_execute("LOCK TABLE audit.workspace, audit.legal_hold IN SHARE MODE").await.unwrap();
    let answer = rest.set(json!({"workspace": "acme", "retention": "1 year"}));
    assert!(answer.header("retry-after").is_some());
    refused(answer, 503, "database_unavailable");
    // Readers do not wait at all.
    rest.get(RETENTION).ok();
    rest.get(HOLDS).ok();
    other.rollback().await.unwrap();
    rest.set(json!({"workspace": "acme", "retention": "1 year"})).ok();
}

#[tokio::test]
async fn maintenance_reports_its_tasks_and_obstacles() {
    let rest = Rest::start();
    let maintain = || rest.send(Request::get("/v1/maintenance").method("POST").token(&rest.admin)).ok().json();
    let first = maintain();
    let created = json!("partition created");
    assert!(first["tasks"].as_array().unwrap().iter().any(|task| task["task"] == created), "{first}");
    assert_eq!(maintain(), json!({"tasks": [], "waiting_for": null}));

    let mut reader = rest.db.connect().await;
    run(&reader, "SELECT audit_internal.create_partition('2024-03-01')").await;
    let reading = reader.transaction().await.unwrap();
    reading.query("SELECT count(*) FROM audit.event", &[]).await.unwrap();
    let waits = maintain();
    assert_eq!(waits["tasks"], json!([]));
    assert!(waits["waiting_for"].as_str().unwrap().contains("audit_internal.event_2024_03"), "{waits}");
    reading.rollback().await.unwrap();
    let dropped = json!({"task": "partition dropped", "object": "audit_internal.event_2024_03", "amount": 0});
    assert_eq!(maintain(), json!({"tasks": [dropped], "waiting_for": null}));
}

#[tokio::test]
async fn a_failed_check_is_in_the_metrics_and_keeps_the_sidecar_ready() {
    let rest = Rest::start();
    let status = || rest.send(Request::get("/v1/status").token(&rest.admin)).ok().json();
    let gauge = |name: &str| -> Option<f64> {
        let page = rest.send(Request::get("/metrics").token(&rest.admin)).ok();
        let line = page.text().lines().find(|line| line.starts_with(name))?.to_owned();
        Some(line.rsplit(' ').next()?.parse().unwrap())
    };
    let check = |status: &Value, name: &str| -> Value {
        status["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
    };
    let never = status();
    assert_eq!(never["ok"], false);
    let maintenance = check(&never, "maintenance");
    assert!(maintenance["ok"] == false && maintenance["hint"].is_string(), "{maintenance}");
    assert_eq!(gauge("audit_status_ok{check=\"maintenance\"}"), Some(0.0));
    assert_eq!(gauge("audit_maintenance_age_seconds"), None);
    let ready = rest.send(Request::get("/readyz")).ok().json();
    assert_eq!((&ready["ready"], &ready["checks"]["status"]["ok"]), (&json!(true), &json!(false)), "{ready}");
    assert!(ready["checks"]["status"]["detail"].as_str().unwrap().contains("maintenance"), "{ready}");
    // One message, however often the check ran. The sidecar log comes through a pipe, in order.
    rest.sidecar.log_line(&["\"path\":\"/readyz\""]);
    let told = rest.sidecar.log().lines().filter(|line| line.contains("health checks of the audit log fail")).count();
    assert_eq!(told, 1, "{}", rest.sidecar.log());

    run(&rest.db.connect().await, "SELECT audit.maintain()").await;
    let well = status();
    assert_eq!(well["ok"], true, "{well}");
    assert!(check(&well, "maintenance").get("hint").is_none());
    assert_eq!(gauge("audit_status_ok{check=\"maintenance\"}"), Some(1.0));
    let age = gauge("audit_maintenance_age_seconds").unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
    assert_eq!(
        rest.send(Request::get("/readyz")).ok().json()["checks"]["status"],
        json!({"ok": true, "detail": "all checks pass"})
    );

    let client = rest.db.connect().await;
    open_guard(&client).await;
    run(&client, "UPDATE audit.maintenance SET last_run_at = now() - interval '3 days'").await;
    assert_eq!(gauge("audit_status_ok{check=\"maintenance\"}"), Some(0.0));
    let age = gauge("audit_maintenance_age_seconds").unwrap();
    assert!((259_200.0..259_260.0).contains(&age), "{age}");
}

#[tokio::test]
async fn openapi_describes_every_path_and_status() {
    let rest = Rest::start();
    let openapi = rest.get("/v1/openapi.json").ok().json();
    for (path, method, statuses) in [
        (RETENTION, "get", &["200", "400", "401", "403", "503"][..]),
        (RETENTION, "put", &["200", "400", "401", "403", "413", "415", "503"]),
        ("/v1/retention/presets", "get", &["200", "401", "403"]),
        (HOLDS, "get", &["200", "400", "401", "403"]),
        (HOLDS, "post", &["201", "400", "401", "403", "409", "413", "415"]),
        (RELEASE, "post", &["200", "400", "401", "403", "409", "413", "415"]),
        ("/v1/status", "get", &["200", "401", "403"]),
        ("/v1/maintenance", "post", &["200", "401", "403", "504"]),
    ] {
        let operation = &openapi["paths"][path][method];
        assert!(operation["summary"].is_string() && operation["description"].is_string(), "{method} {path}");
        for status in statuses {
            assert!(operation["responses"][status].is_object(), "{method} {path} {status}");
        }
    }
    let schemas = &openapi["components"]["schemas"];
    let codes = schemas["Code"]["enum"].as_array().unwrap();
    for code in ["invalid_retention", "legal_hold_conflict"] {
        assert!(codes.contains(&json!(code)), "{codes:?}");
    }
    assert_eq!(schemas["NewRetention"]["additionalProperties"], false);
}

#[tokio::test]
async fn the_command_line_has_the_same_functions() {
    let rest = Rest::start();
    let ok = |arguments: &[&str]| printed(rest.sidecar.run(arguments));
    let fails = |arguments: &[&str]| {
        let output = rest.sidecar.run(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    };
    let shown = ok(&["retention", "show", "--workspace", "acme"]);
    assert!(shown.contains("13 months (default)") && shown.contains("the default"), "{shown}");
    let set = ok(&["retention", "set", "--workspace", "acme", "--retention", "90 days"]);
    assert!(set.contains("90 days") && set.contains("by cli:"), "{set}");
    assert!(ok(&["retention", "set", "--workspace", "acme", "--preset", "hipaa"]).contains("6 years (hipaa)"));
    assert!(rest.told("retention_changed").await["actor"].as_str().unwrap().starts_with("cli:"));
    assert!(ok(&["retention", "presets"]).contains("45 CFR"));
    let told = fails(&["retention", "set", "--workspace", "acme", "--retention", "59 days"]);
    assert!(told.contains("60 days"), "{told}");
    let told = fails(&["retention", "set", "--workspace", "acme", "--preset", "iso"]);
    assert!(told.contains("retention presets"), "{told}");
    fails(&["retention", "set", "--workspace", "acme"]);
    fails(&["retention", "set", "--workspace", "acme", "--retention", "1 year", "--preset", "sox"]);
    fails(&["retention", "set", "--retention", "1 year"]);

    let place = ["hold", "place", "--workspace", "acme", "--reason", "Case 7", "--target", "customer:17"];
    assert!(ok(&place).contains("workspace acme, target customer:17"));
    assert!(rest.told("legal_hold_placed").await["actor"].as_str().unwrap().starts_with("cli:"));
    assert!(fails(&place).contains("hold list"));
    let listed = ok(&["hold", "list"]);
    assert!(listed.contains("customer:17") && listed.contains("Case 7") && listed.contains("active"), "{listed}");
    assert!(!ok(&["hold", "list", "--workspace", "globex"]).contains("customer:17"));
    fails(&["hold", "release", "--workspace", "acme", "--reason", "settled"]);
    ok(&["hold", "release", "--workspace", "acme", "--reason", "settled", "--target", "customer:17"]);
    assert!(!ok(&["hold", "list"]).contains("customer:17"));
    assert!(ok(&["hold", "list", "--all"]).contains(": settled)"));
    fails(&["hold", "place", "--workspace", "acme"]);
    fails(&["hold", "place", "--workspace", "acme", "--reason", ""]);

    let never = rest.sidecar.run(&["status"]);
    assert_eq!(never.status.code(), Some(1));
    let never = String::from_utf8(never.stdout).unwrap();
    assert!(never.lines().any(|line| line.starts_with("WARN") && line.contains("has never run")), "{never}");
    assert!(ok(&["maintain", "--until-done"]).contains("partition created"));
    assert_eq!(ok(&["maintain"]), "");
    let well = ok(&["status"]);
    assert!(well.lines().all(|line| line.starts_with("ok")), "{well}");
}

fn printed(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
