//! The page of retention and legal holds over HTTP.

use audit_harness::query::{all, one, run};

use crate::rest::admin_forms::Person;
use crate::rest::bad_input::support::Rest;

const CHANGE: &str = "/admin/retention/change";
const HOLD: &str = "/admin/retention/hold";
const RELEASE: &str = "/admin/retention/release";

#[tokio::test]
async fn each_role_does_what_the_table_of_rights_says() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    run(&client, "SELECT audit.place_legal_hold('acme', 'case 1', actor => 'user:eve')").await;
    let held = "case 1";
    for (role, sees_holds, changes) in [("viewer", false, false), ("auditor", true, false), ("admin", true, true)] {
        for workspace in [Some("acme"), None] {
            let person = Person::new(&rest, role, workspace);
            let what = format!("{role} {workspace:?}");
            let page = person.page("/admin/retention?workspace=acme");
            assert_eq!(page.contains(held), sees_holds, "{what}");
            assert_eq!(page.contains("action=\"/admin/retention/hold\""), changes, "{what}");
            assert_eq!(page.contains("id=\"number\""), changes, "{what}");
            let expected = |status| if changes { status } else { 403 };
            let page = person.open(&format!("{CHANGE}?workspace=acme&number=3&unit=years"));
            assert_eq!(page.status, expected(200), "{what}");
            let page = person.open(&format!("{RELEASE}?workspace=acme&actor=user:eve"));
            assert_eq!(page.status, expected(200), "{what}");
            let target = format!("{role}:{}", workspace.unwrap_or("all"));
            for (path, fields) in [
                (CHANGE, [("retention", "2 years"), ("workspace", "acme")]),
                (HOLD, [("reason", "case 2"), ("target", &target)]),
                (RELEASE, [("reason", "settled"), ("target", &target)]),
            ] {
                let fields = [&fields[..], &[("workspace", "acme")]].concat();
                assert_eq!(person.submit(path, &fields).status, expected(303), "{what} {path}");
            }
        }
    }
    let changes = "SELECT count(*) FROM audit.event WHERE action IN ('retention_changed', 'legal_hold_placed', 'legal_hold_released')";
    assert_eq!(one::<i64>(&client, changes, &[]).await, 1 + 1 + 4, "the second change is none");
}

#[tokio::test]
async fn a_form_of_another_session_or_site_changes_nothing() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    run(&client, "SELECT audit.place_legal_hold('acme', 'case 1')").await;
    let (person, other) = (Person::new(&rest, "admin", None), Person::new(&rest, "admin", None));
    let own = rest.sidecar.url("");
    for (path, fields) in [
        (CHANGE, [("workspace", "acme"), ("retention", "2 years")]),
        (HOLD, [("workspace", "acme"), ("reason", "case 2")]),
        (RELEASE, [("workspace", "acme"), ("reason", "settled")]),
    ] {
        for (form_token, origin) in [
            ("", own.as_str()),
            (&other.form_token, &own),
            (&person.form_token, "https://example.com"),
            (&person.form_token, "null"),
        ] {
            assert_eq!(person.submit_as(path, &fields, form_token, origin).status, 403, "{path} {origin}");
        }
    }
    let changes = "SELECT count(*) FROM audit.event WHERE action LIKE 'retention%' OR action LIKE 'legal_hold%'";
    assert_eq!(one::<i64>(&client, changes, &[]).await, 1);
}

#[tokio::test]
async fn a_foreign_workspace_answers_as_one_that_does_not_exist() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    run(&client, "SELECT audit.append('x', 'globex'), audit.place_legal_hold('globex', 'secret of globex')").await;
    let person = Person::new(&rest, "admin", Some("acme"));
    for path in ["/admin/retention", CHANGE, RELEASE] {
        let [foreign, absent] =
            ["globex", "nowhere"].map(|name| person.open(&format!("{path}?workspace={name}&number=2&unit=years")));
        assert_eq!((foreign.status, absent.status), (403, 403), "{path}");
        assert_eq!(foreign.text().replace("globex", "nowhere"), absent.text(), "{path}");
    }
    for (path, field) in [(CHANGE, ("retention", "2 years")), (HOLD, ("reason", "x")), (RELEASE, ("reason", "x"))] {
        assert_eq!(person.submit(path, &[("workspace", "globex"), field]).status, 403, "{path}");
    }
    assert!(!person.page("/admin/retention").contains("globex"));
}

#[tokio::test]
async fn a_change_is_recorded_as_rest_records_it() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let token = rest.sidecar.token("admin", Some("acme"));
    let person = Person::with_token(&rest, &token);
    person.submit(CHANGE, &[("retention", "2 years")]);
    person.submit(HOLD, &[("reason", " case 7 "), ("target", "customer:17"), ("actor", "")]);
    person.submit(RELEASE, &[("reason", "settled"), ("target", "customer:17")]);
    let events = "SELECT concat_ws(' ', action, workspace, actor, ip, request_id IS NOT NULL, details::text) FROM audit.event \
                  WHERE action LIKE 'retention%' OR action LIKE 'legal_hold%' ORDER BY id";
    let actor = format!("acme token:{} 127.0.0.1 t", &token[6..18]);
    assert_eq!(
        all::<String>(&client, events, &[]).await,
        [
            format!("retention_changed {actor} {{\"to\": \"2 years\", \"from\": \"1 year 1 mon\"}}"),
            format!(
                "legal_hold_placed {actor} {{\"actor\": null, \"reason\": \"case 7\", \"target\": \"customer:17\"}}"
            ),
            format!(
                "legal_hold_released {actor} {{\"actor\": null, \"reason\": \"settled\", \"target\": \"customer:17\"}}"
            ),
        ]
    );
}

#[tokio::test]
async fn a_wrong_value_is_explained_beside_its_form() {
    let rest = Rest::start();
    let person = Person::new(&rest, "admin", Some("acme"));
    for (query, part) in [
        ("number=59&unit=days", "must be at least 60 days"),
        ("number=2&unit=months", "must be at least 60 days"),
        ("number=101&unit=years", "must be at most 100 years"),
        ("number=99999999999999999999&unit=years", "is not a length of time"),
        ("number=&unit=years", "not a whole number"),
        ("number=1&unit=hours", "not a whole number"),
        ("number=-1&unit=years", "not a whole number"),
        ("number=13&unit=months", "is 13 months already"),
        ("preset=nobody", "does not exist"),
    ] {
        let answer = person.open(&format!("{CHANGE}?{query}"));
        let text = answer.text();
        assert_eq!(answer.status, 400, "{query}");
        let problem = text.split("role=\"alert\">").nth(1).unwrap().split("</p>").next().unwrap();
        assert!(problem.contains(part), "{query}: {problem}");
        assert!(text.contains("Place a legal hold"), "the whole page is shown");
    }
    for (path, fields, part) in [
        (CHANGE, [("retention", "1 day"), ("", "")], "must be at least 60 days"),
        (HOLD, [("reason", ""), ("target", "customer:1")], "needs a reason"),
        (HOLD, [("reason", "x"), ("target", "a\u{1}b")], "control character"),
    ] {
        let answer = person.submit(path, &fields);
        assert_eq!(answer.status, 400, "{path}");
        let text = answer.text();
        let problem = text.split("role=\"alert\">").nth(1).unwrap().split("</p>").next().unwrap();
        assert!(problem.contains(part), "{path}: {problem}");
    }
    assert_eq!(person.submit(RELEASE, &[("reason", "x"), ("target", "customer:1")]).status, 409);
    assert_eq!(person.open(&format!("{RELEASE}?target=customer:1")).status, 404);
}
