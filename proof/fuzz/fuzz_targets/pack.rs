#![no_main]
//! Fuzzes the files of a pack. A zero byte separates them: log.json, checkpoint, removed leaves, events, stubs,
//! removals and prefixes.

use audit_proof::checkpoint::Checkpoint;
use audit_proof::pack::{Array, Check, Log, Scope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut files = data.split(|byte| *byte == 0);
    let mut next = || files.next().unwrap_or_default();
    let log = Log::parse(next()).ok();
    let checkpoint = Checkpoint::parse(next()).ok();
    if let Some(log) = &log {
        let text = log.to_json().expect("a parsed log can be written");
        assert_eq!(&Log::parse(&text).expect("a written log can be parsed"), log);
    }
    let includes = |action: &str, _: &str, _: &str| action == "login";
    let claim = log.as_ref().map(|log| log.claim);
    let scope = Scope { workspace: "acme", since: 0, until: i64::MAX, includes: &includes, claim };
    let mut check = Check::new(scope, log.zip(checkpoint.as_ref()), data.len());
    each(next(), |number, line| check.removed(number, line));
    check.end_removed();
    each(next(), |number, line| {
        check.event(number, line);
    });
    each(next(), |number, line| check.stub(number, line));
    each(next(), |number, line| check.removal(number, line));
    if let Err(problems) = check.finish(Some(next())) {
        assert!(problems.count() > 0);
        for (_, group) in problems.groups() {
            assert!(group.count >= group.first.len() as u64);
            group.first.iter().for_each(|problem| drop(problem.to_string()));
        }
    }
});

fn each(file: &[u8], mut element: impl FnMut(u64, &[u8])) {
    let mut array = Array::new();
    let mut number = 0;
    for line in file.split(|byte| *byte == b'\n') {
        match array.line(line) {
            Ok(Some(line)) => {
                number += 1;
                element(number, line);
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}
