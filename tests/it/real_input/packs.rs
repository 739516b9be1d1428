//! Output through packs, by REST and by the command line.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::real_input::form::{Seen, from_json};
use crate::real_input::naive::{Expected, Filter};
use crate::real_input::rest::{Served, read_csv, serve};
use crate::rest::http::Request;
use crate::support::unzip;

/// The files of a pack, by name.
struct Pack {
    files: BTreeMap<String, Vec<u8>>,
    manifest: Value,
}

impl Pack {
    fn open(zip: Vec<u8>) -> Self {
        let files = unzip(&zip);
        let manifest = serde_json::from_slice(&files["manifest.json"]).unwrap();
        Self { files, manifest }
    }

    /// Returns the events without those of category audit. Asserts that events.json and events.csv hold the same.
    fn events(&self) -> Vec<Seen> {
        let text = str::from_utf8(&self.files["events.json"]).unwrap();
        let whole: Vec<Value> = serde_json::from_str(text).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('{')).collect();
        assert_eq!(lines.len(), whole.len(), "events.json must have one event per line");
        for (line, event) in lines.iter().zip(&whole) {
            let line = line.trim_end_matches(',');
            assert!(line.starts_with(&format!("{{\"v\":1,\"id\":{},\"workspace\":", event["id"])), "{line}");
            assert_eq!(&serde_json::from_str::<Value>(line).unwrap(), event);
        }
        assert_eq!(self.manifest["counts"]["events"], whole.len());
        let mut seen: Vec<Seen> = whole.iter().map(from_json).collect();
        let table = self.files["events.csv"]
            .strip_prefix("\u{feff}".as_bytes())
            .expect("events.csv begins with a byte order mark");
        assert_eq!(read_csv(table), seen, "events.csv and events.json differ");
        seen.retain(|seen| seen.event.category != "audit");
        seen
    }

    /// Returns the rows of summary.csv: for each actor the number of events, successes, failures and denials.
    fn summary(&self) -> BTreeMap<String, [u64; 4]> {
        let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(&*self.files["summary.csv"]);
        let mut rows = rows.records().map(Result::unwrap);
        assert_eq!(
            rows.next().unwrap().iter().take(6).collect::<Vec<_>>(),
            ["kind", "actor", "events", "success", "failure", "denied"]
        );
        let actor =
            |row: &csv::StringRecord| if &row[0] == "actor" { row[1].to_owned() } else { format!("({})", &row[0]) };
        rows.map(|row| (actor(&row), [2, 3, 4, 5].map(|at| row[at].parse().unwrap()))).collect()
    }

    /// Asserts that the manifest describes each file correctly.
    fn check_manifest(&self) {
        let names: Vec<&str> = self.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["README.txt", "events.csv", "events.json", "manifest.json", "summary.csv"]);
        let listed = self.manifest["files"].as_array().unwrap();
        assert_eq!(listed.len(), names.len() - 1, "{listed:?}");
        for file in listed {
            let content = &self.files[file["name"].as_str().unwrap()];
            let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(file["sha256"], sha256.as_str(), "{}", file["name"]);
        }
    }
}

#[tokio::test]
async fn packs_hold_the_events_of_the_file() {
    let Some(served) = serve().await else { return };
    let busiest = most(&served.events, |event| event.actor.iter().collect());
    let target = most(&served.events, |event| event.targets.iter().collect());
    let filter =
        |filter: Filter| Box::new(move |event: &Expected| filter.keeps(event)) as Box<dyn Fn(&Expected) -> bool>;
    let actor = Filter { actor: Some(busiest), outcome: Some("denied".into()), ..Filter::default() };
    let cases: [(&str, Vec<(&str, String)>, _); 6] = [
        ("export", vec![], filter(Filter::default())),
        ("export", vec![("target", target.clone())], filter(Filter { target: Some(target), ..Filter::default() })),
        ("export", actor.named(), filter(actor)),
        ("change-management", vec![], Box::new(|event| event.category == "admin")),
        ("incident-response", vec![], Box::new(|event| event.category == "auth" && event.outcome != "success")),
        // This pack selects logins of the platform, whose actions have other names.
        ("access-review", vec![], Box::new(|_| false)),
    ];
    for (name, mut parameters, keeps) in cases {
        parameters.extend([("since", hours_ahead(-24)), ("until", hours_ahead(1))]);
        let request = Request::find(&format!("/v1/packs/{name}"), &parameters).token(&served.auditor);
        let answer = request.send(&served.sidecar).ok();
        assert_eq!(answer.header("content-type"), Some("application/zip"));
        let pack = Pack::open(answer.body);
        pack.check_manifest();
        let held = compare(&pack, &served, &*keeps, &format!("{name} {parameters:?}"));
        assert_eq!(held > 0, name != "access-review", "{name}");
    }
}

#[tokio::test]
async fn the_command_line_exports_the_same_events() {
    let Some(served) = serve().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pack.zip");
    let workspace = served.events[0].workspace.as_str();
    let (since, until) = (hours_ahead(-24), hours_ahead(1));
    let arguments = [
        "pack",
        "export",
        "--workspace",
        workspace,
        "--since",
        &since,
        "--until",
        &until,
        "--outcome",
        "failure",
        "-o",
        file.to_str().unwrap(),
    ];
    let output = served.sidecar.run(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pack = Pack::open(std::fs::read(&file).unwrap());
    pack.check_manifest();
    compare(&pack, &served, &|event| event.outcome == "failure", "command line");
}

#[tokio::test]
async fn a_pack_until_now_holds_all_events_before_the_request() {
    let Some(served) = serve().await else { return };
    let last = *served.ids.last().unwrap();
    for round in 0..3 {
        let parameters = [("since", hours_ahead(-24))];
        let request = Request::find("/v1/packs/export", &parameters).token(&served.auditor);
        let events = Pack::open(request.send(&served.sidecar).ok().body).events();
        assert_eq!(events.len(), served.ids.len() + round, "the last event stored was {last}");
        let newest = served.append_once_more(round);
        let events = Pack::open(request.send(&served.sidecar).ok().body).events();
        assert_eq!(events.last().map(|seen| seen.id), Some(newest), "round {round}");
    }
}

fn compare(pack: &Pack, served: &Served, keeps: &dyn Fn(&Expected) -> bool, what: &str) -> usize {
    let mut expected = served.found(&Filter::default());
    expected.retain(|seen| keeps(&seen.event));
    expected.reverse();
    let events = pack.events();
    let ids = |list: &[Seen]| list.iter().map(|seen| seen.id).collect::<Vec<_>>();
    assert_eq!(ids(&events), ids(&expected), "{what}: {}", pack.manifest["period"]);
    for (seen, expected) in events.iter().zip(&expected) {
        assert_eq!(seen, expected, "{what}");
    }
    let mut summary = BTreeMap::<String, [u64; 4]>::new();
    for seen in &expected {
        let counts = summary.entry(seen.event.actor.clone().unwrap_or_else(|| "(none)".into())).or_default();
        counts[0] += 1;
        counts[match seen.event.outcome.as_str() {
            "success" => 1,
            "failure" => 2,
            _ => 3,
        }] += 1;
    }
    // The events of category audit come from tokens and the command line.
    let mut given = pack.summary();
    given.retain(|actor, _| !actor.starts_with("token:") && !actor.starts_with("cli:"));
    // The event of a token that the command line creates has no actor.
    let without = |summary: &mut BTreeMap<String, [u64; 4]>| summary.remove("(none)").is_some();
    assert!(without(&mut given) || !without(&mut summary), "{what}");
    assert_eq!(given, summary, "{what}");
    expected.len()
}

/// Returns the most frequent value.
fn most(events: &[Expected], values: impl Fn(&Expected) -> Vec<&String>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for value in events.iter().flat_map(|event| values(event).into_iter().cloned().collect::<Vec<_>>()) {
        *counts.entry(value).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).unwrap().0
}

fn hours_ahead(hours: i64) -> String {
    (Timestamp::now() + SignedDuration::from_hours(hours)).to_string()
}
