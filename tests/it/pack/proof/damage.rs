//! Changes to a pack, and the verdict that FORMAT.md demands for each.

use audit_proof::{Field, Line};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::pack::proof::pack::{Beside, CHECKPOINT, EVENTS, LOG, PREFIXES, Pack, REMOVED, STUBS, leaf};
use crate::support::Random;

/// The verdict that a changed pack must get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Valid,
    Invalid,
    /// Either verdict, but both verifiers must give the same.
    Either,
}

use Expected::{Either, Invalid, Valid};

/// A change to a pack. It returns None if the pack lacks what it changes. The other packs may provide material.
pub type Damage = fn(&mut Pack, &[Pack], &mut Random) -> Option<Expected>;

pub const DAMAGES: [(&str, Damage); 40] = [
    ("a byte of what is proven", byte),
    ("a byte of an event", byte_of_event),
    ("a byte of log.json", byte_of_log),
    ("the form of a line", form),
    ("the digest of a withheld field", withheld_digest),
    ("a line dropped", dropped),
    ("two lines swapped", swapped),
    ("a line twice", twice),
    ("two leaf indices exchanged", leaves_exchanged),
    ("another leaf index", other_leaf),
    ("a bit of a body or a hash", hash_flipped),
    ("a hash of the subset proof", proof_hash),
    ("the text of the checkpoint", checkpoint_text),
    ("the signatures of the checkpoint", signatures),
    ("the size or root of a recorded head", head_values),
    ("another recorded head", other_head),
    ("the heads event", heads_event),
    ("the path of a heads event", path),
    ("no head", no_head),
    ("no from", no_from),
    ("another first leaf", first),
    ("another claim", claim),
    ("another log id", log_id),
    ("events that are shown as stubs", withheld_events),
    ("an event of an inclusion pack as a stub", unneeded_event),
    ("a field withheld", withheld_field),
    ("an event that is said to be removed", event_as_removed),
    ("a stub where an event stands", stub_as_event),
    ("an event where a stub stands", event_as_stub),
    ("the definition", definition),
    ("the period", period),
    ("a period from before the range", earlier),
    ("another workspace", workspace),
    ("the number of events", count),
    ("filters", filters),
    ("a file of another pack", mixed),
    ("a file left out", left_out),
    ("what is not proven", unproven),
    ("the form of JSON", json),
    ("files and the manifest", listing),
];

/// Returns a file of lines, its lines, and the number of one line.
fn any_line(pack: &Pack, random: &mut Random, files: &[&'static str]) -> Option<(&'static str, Vec<String>, usize)> {
    let file = files[random.below(files.len())];
    let lines = pack.lines(file);
    let at = (!lines.is_empty()).then(|| random.below(lines.len()))?;
    Some((file, lines, at))
}

const OF_LINES: [&str; 3] = [EVENTS, STUBS, REMOVED];

fn invalid_if(invalid: bool) -> Option<Expected> {
    Some(if invalid { Invalid } else { Valid })
}

fn byte_in(pack: &mut Pack, random: &mut Random, file: &str) -> Option<Expected> {
    let before = pack.clone();
    let content = pack.files.get_mut(file)?;
    let at = random.below(content.len());
    let new = match random.below(3) {
        0 => *random
            .pick(&[b" ", b"\"", b"0", b"a", b"Z", b",", b"}", b"\\", b"\n", b"/", b"=", b":", b"\xff"])
            .first()?,
        1 => content[at] ^ 1 << random.below(8),
        _ => content[random.below(content.len())],
    };
    (content[at] != new).then_some(())?;
    content[at] = new;
    let proven = match file {
        EVENTS => {
            let line = before.files[EVENTS][..at].iter().filter(|byte| **byte == b'\n').count().checked_sub(1);
            line.and_then(|at| before.lines(EVENTS).get(at).map(|line| before.proves(line))) != Some(false)
        }
        // Two changes have no effect: white space after the object, and the log id if no head is recorded.
        LOG => serde_json::from_slice(&pack.files[LOG]).map_or(true, |mut log: Value| {
            let old = before.log();
            if any_head(&old, random).is_none() {
                log["log_id"] = old["log_id"].clone();
            }
            log != old
        }),
        _ => true,
    };
    Some(if proven { Invalid } else { Either })
}

fn byte(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let file = random.pick(&[STUBS, REMOVED, LOG, CHECKPOINT]);
    byte_in(pack, random, file)
}

fn byte_of_event(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    byte_in(pack, random, EVENTS)
}

fn byte_of_log(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    byte_in(pack, random, LOG)
}

/// Writes a line in another form that some JSON parsers read as the same value.
fn form(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (file, mut lines, at) = any_line(pack, random, &OF_LINES)?;
    let (old, new) = [
        (r#","targets""#, r#", "targets""#),
        (r#""v":1,"#, r#""v": 1,"#),
        (r#""v":1,"#, r#""v":1.0,"#),
        (r#""id":"#, r#""id":0"#),
        (r#""leaf":"#, r#""leaf": "#),
        (r#""leaf":"#, r#""leaf":0"#),
        (r#""leaf":"#, r#""leaf":-"#),
        (r#""leaf":"#, r#""x":0,"leaf":"#),
        (r#""category":"#, r#""c\u0061tegory":"#),
        (r#""outcome":"success""#, r#""outcome":"\u0073uccess""#),
        ("/", r"\/"),
        ("ü", r"\u00fc"),
        (r"\n", r"\u000a"),
        (r"\u001f", r"\u001F"),
        ("Z\",\"recorded_at", "+00:00\",\"recorded_at"),
        ("T", "t"),
        (r#"": "#, r#"":  "#),
        (r#"": "#, r#"":"#),
        (r#"": "#, "\":\t"),
        (r#""details":{"#, r#""details": {"#),
        (r#"="}"#, r#""}"#),
        (r#","salt":"#, r#","salts":"#),
        (r#""hash":"#, r#""hash":null,"hash":"#),
    ][random.below(23)];
    let proven = pack.proves(&lines[at]);
    let changed = lines[at].replacen(old, new, 1);
    if changed == lines[at] {
        return None;
    }
    lines[at] = changed;
    pack.set_lines(file, &lines);
    Some(if proven { Invalid } else { Either })
}

fn withheld_digest(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut lines = pack.lines(EVENTS);
    let line = lines.iter_mut().find(|line| line.contains("_digest\":\"") && !line.contains("\"leaf\":null"))?;
    let start = line.find("_digest\":\"")? + 10;
    let at = start + random.below(64);
    let new = random.pick(&["0", "7", "f", "F", "g"]);
    if &line[at..=at] == new {
        return None;
    }
    line.replace_range(at..=at, new);
    pack.set_lines(EVENTS, &lines);
    Some(Invalid)
}

fn dropped(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (file, mut lines, at) = any_line(pack, random, &OF_LINES)?;
    let proven = pack.proves(&lines.remove(at));
    pack.set_lines(file, &lines);
    invalid_if(proven)
}

/// Swaps two lines. The order of lines has no meaning.
fn swapped(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (file, mut lines, at) = any_line(pack, random, &OF_LINES)?;
    let other = random.below(lines.len());
    lines.swap(at, other);
    pack.set_lines(file, &lines);
    Some(Valid)
}

fn twice(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (file, mut lines, at) = any_line(pack, random, &OF_LINES)?;
    lines.insert(random.below(lines.len() + 1), lines[at].clone());
    let proven = pack.proves(&lines[at]);
    pack.set_lines(file, &lines);
    // Events without a proof may be repeated, because the pack claims nothing about them.
    Some(if proven { Invalid } else { Either })
}

fn with_leaf(line: &str, leaf: &str) -> String {
    let start = line.rfind("\"leaf\":").unwrap() + 7;
    let end = start + line[start..].find(['}', ',']).unwrap();
    format!("{}{leaf}{}", &line[..start], &line[end..])
}

fn leaves_exchanged(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (file, mut lines, at) = any_line(pack, random, &OF_LINES)?;
    let other = random.below(lines.len());
    let (one, two) = (leaf(&lines[at])?, leaf(&lines[other])?);
    (one != two && pack.proves(&lines[at])).then_some(())?;
    lines[at] = with_leaf(&lines[at], &two.to_string());
    lines[other] = with_leaf(&lines[other], &one.to_string());
    pack.set_lines(file, &lines);
    Some(Invalid)
}

fn other_leaf(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (file, mut lines, at) = any_line(pack, random, &OF_LINES)?;
    let old = leaf(&lines[at]).filter(|_| pack.proves(&lines[at]))?;
    let new = match random.below(7) {
        0 => "null".to_owned(),
        1 => (old + 1).to_string(),
        2 => pack.size().to_string(),
        3 => i64::MAX.to_string(),
        4 => (1_u64 << 63).to_string(),
        5 => old.checked_sub(1)?.to_string(),
        _ => random.below(pack.size() as usize).to_string(),
    };
    (new != old.to_string()).then_some(())?;
    lines[at] = with_leaf(&lines[at], &new);
    pack.set_lines(file, &lines);
    Some(Invalid)
}

/// Returns the Base64 text with one bit changed.
fn flipped(text: &str, random: &mut Random) -> String {
    let mut bytes = STANDARD.decode(text).unwrap();
    let at = random.below(bytes.len());
    bytes[at] ^= 1 << random.below(8);
    STANDARD.encode(bytes)
}

fn hash_flipped(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (file, mut lines, at) = any_line(pack, random, &[STUBS, REMOVED])?;
    let key = if file == STUBS { "\"body\":\"" } else { "\"hash\":\"" };
    let start = lines[at].find(key)? + key.len();
    let new = flipped(&lines[at][start..start + 44], random);
    lines[at].replace_range(start..start + 44, &new);
    pack.set_lines(file, &lines);
    Some(Invalid)
}

/// Changes an array of hashes. Returns None if the array is the same as before.
fn change_hashes(hashes: &mut Value, random: &mut Random) -> Option<()> {
    let hashes = hashes.as_array_mut()?;
    let before = hashes.clone();
    let at = (!hashes.is_empty()).then(|| random.below(hashes.len()));
    match (random.below(6), at) {
        (0, Some(at)) => hashes[at] = json!(flipped(hashes[at].as_str()?, random)),
        (1, Some(at)) => drop(hashes.remove(at)),
        (2, Some(at)) => hashes.swap(0, at),
        (3, Some(at)) => hashes.push(hashes[at].clone()),
        (4, Some(at)) => hashes[at] = json!(hashes[at].as_str()?.trim_end_matches('=')),
        _ => hashes.push(json!(STANDARD.encode([7; 32]))),
    }
    (*hashes != before).then_some(())
}

fn proof_hash(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    change_hashes(&mut log["hashes"], random)?;
    pack.set_log(&log);
    Some(Invalid)
}

fn checkpoint_text(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let note = String::from_utf8(pack.files[CHECKPOINT].clone()).unwrap();
    let mut lines: Vec<String> = note.split('\n').map(str::to_owned).collect();
    match random.below(6) {
        0 => lines[0].push('x'),
        1 => lines[1].push('0'),
        2 => lines[1].insert(0, '0'),
        3 => lines[2] = flipped(&lines[2], random),
        4 => lines.insert(3, "an extension".to_owned()),
        _ => lines.insert(3, String::new()),
    }
    pack.files.insert(CHECKPOINT.to_owned(), lines.join("\n").into_bytes());
    Some(Invalid)
}

fn signatures(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let note = String::from_utf8(pack.files[CHECKPOINT].clone()).unwrap();
    let (text, signature) = note.split_once("\n\n")?;
    let encoded = signature.trim_end().rsplit(' ').next()?;
    let (name, mut bytes) = (signature.split(' ').nth(1)?, STANDARD.decode(encoded).unwrap());
    let at = 4 + random.below(64);
    bytes[at] ^= 1 << random.below(8);
    let wrong = format!("— {name} {}\n", STANDARD.encode(&bytes));
    bytes[0] ^= 1;
    let unknown = format!("— {name} {}\n", STANDARD.encode(bytes));
    let (signatures, expected) = match random.below(10) {
        0 => (String::new(), Invalid),
        1 => (wrong, Invalid),
        2 => (unknown, Invalid),
        3 => (format!("{wrong}{signature}"), Invalid),
        // The first signature of a key counts, and signatures of unknown keys are ignored.
        4 => (format!("{signature}{wrong}"), Valid),
        5 => (format!("{unknown}{signature}{unknown}"), Valid),
        6 => (format!("{signature}\n"), Invalid),
        7 => (format!("{signature}— {name} AAAA\n"), Invalid),
        8 => (signature.trim_end().to_owned(), Invalid),
        _ => (signature.replace('=', ""), invalid_of(signature.contains('='))),
    };
    pack.files.insert(CHECKPOINT.to_owned(), format!("{text}\n\n{signatures}").into_bytes());
    Some(expected)
}

fn invalid_of(invalid: bool) -> Expected {
    if invalid { Invalid } else { Valid }
}

/// Returns the key of one of the recorded heads, if there are any.
fn any_head(log: &Value, random: &mut Random) -> Option<&'static str> {
    let heads: Vec<&str> = ["head", "from"].into_iter().filter(|key| !log[*key].is_null()).collect();
    (!heads.is_empty()).then(|| heads[random.below(heads.len())])
}

fn head_values(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    let head = &mut log[any_head(&pack.log(), random)?];
    let size = head["size"].as_u64()?;
    match random.below(5) {
        0 => head["size"] = json!(size + 1),
        1 => head["size"] = json!(size.checked_sub(1)?),
        2 => head["size"] = json!(u64::MAX),
        3 => head["root"] = json!(flipped(head["root"].as_str()?, random)),
        _ => head["other"] = json!(null),
    }
    pack.set_log(&log);
    Some(Invalid)
}

fn other_head(pack: &mut Pack, others: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    let key = any_head(&log, random)?;
    let lender = others[random.below(others.len())].log();
    let other = &lender[any_head(&lender, random)?];
    if log[key]["size"] == other["size"] && log["log_id"] == lender["log_id"] {
        return None;
    }
    log[key] = other.clone();
    if key == "from" && random.one_in(2) {
        log["first"] = other["size"].clone();
    }
    pack.set_log(&log);
    Some(Invalid)
}

fn heads_event(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    let event = &mut log[any_head(&pack.log(), random)?]["heads_event"];
    let text = event.as_str()?.to_owned();
    let line = Line::parse(text.as_bytes()).unwrap();
    let bytes = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (changed, expected) = match random.below(9) {
        0 => (bytes(line.withhold(&[Field::Source])), Valid),
        1 => (bytes(line.withhold(&[Field::Targets, Field::Source])), Valid),
        2 => (bytes(line.withhold(&[Field::Actor])), Invalid),
        3 => (bytes(line.withhold(&[Field::Details])), Invalid),
        4 => (bytes(line.stub()), Invalid),
        5 => (with_leaf(&text, "null"), Invalid),
        6 => (with_leaf(&text, &(line.leaf()? + 1).to_string()), Invalid),
        7 => (text.replacen("system:sealer", "system:sealed", 1), Invalid),
        _ => (format!("{text} "), Invalid),
    };
    *event = json!(changed);
    pack.set_log(&log);
    Some(expected)
}

fn path(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    change_hashes(&mut log[any_head(&pack.log(), random)?]["path"], random)?;
    pack.set_log(&log);
    Some(Invalid)
}

fn no_head(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    (!log["head"].is_null()).then_some(())?;
    match random.below(2) {
        0 => log["head"] = json!(null),
        _ => drop(log.as_object_mut()?.remove("head")),
    }
    pack.set_log(&log);
    Some(Invalid)
}

fn no_from(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    (!log["from"].is_null()).then_some(())?;
    log["from"] = json!(null);
    if random.one_in(2) {
        log["first"] = json!(0);
    }
    pack.set_log(&log);
    Some(Invalid)
}

fn first(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    let old = log["first"].as_u64()?;
    let new = [old + 1, old.saturating_sub(1), pack.size(), pack.size() + 1, 0, u64::MAX][random.below(6)];
    (new != old).then_some(())?;
    log["first"] = json!(new);
    pack.set_log(&log);
    Some(Invalid)
}

fn claim(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    let expected = match (random.below(3), pack.is_complete()) {
        (0, _) => {
            log["claim"] = json!("everything");
            Invalid
        }
        (way, true) => {
            // The pack claims less than it could. An inclusion pack must not have a range.
            let has_range = !log["from"].is_null();
            log["claim"] = json!("inclusion");
            if way == 1 {
                log["from"] = json!(null);
                log["first"] = json!(0);
            }
            invalid_of(way != 1 && has_range)
        }
        (way, false) => {
            log["claim"] = json!("complete");
            if way == 1 {
                pack.manifest["filters"] = json!({});
            }
            Invalid
        }
    };
    pack.set_log(&log);
    Some(expected)
}

fn log_id(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    log["log_id"] = json!(flipped(log["log_id"].as_str()?, random));
    let has_heads = any_head(&log, random).is_some();
    pack.set_log(&log);
    // For a pack of the system log, the head comes from the checkpoint, which does not depend on the log id.
    invalid_if(has_heads)
}

fn to_stub(line: &str) -> String {
    String::from_utf8(Line::parse(line.as_bytes()).unwrap().stub()).unwrap()
}

fn withheld_events(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (mut shown, mut stubs) = (pack.lines(EVENTS), pack.lines(STUBS));
    for _ in 0..=random.below(3) {
        let at = (!shown.is_empty()).then(|| random.below(shown.len()))?;
        pack.proves(&shown[at]).then_some(())?;
        stubs.push(to_stub(&shown.remove(at)));
    }
    pack.set_lines(EVENTS, &shown);
    pack.set_lines(STUBS, &stubs);
    // An inclusion pack claims nothing about events that are not shown.
    invalid_if(pack.is_complete())
}

fn unneeded_event(pack: &mut Pack, others: &[Pack], random: &mut Random) -> Option<Expected> {
    if pack.is_complete() { None } else { withheld_events(pack, others, random) }
}

fn withheld_field(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (file, mut lines, at) = any_line(pack, random, &[EVENTS])?;
    let all = [Field::Actor, Field::Targets, Field::Source, Field::Details];
    let fields: Vec<Field> = all.into_iter().filter(|_| random.one_in(2)).collect();
    lines[at] = String::from_utf8(Line::parse(lines[at].as_bytes()).unwrap().withhold(&fields)).unwrap();
    pack.set_lines(file, &lines);
    Some(Valid)
}

/// Turns an event into a removed leaf. A verifier cannot detect this, so it reports the number of removed leaves.
fn event_as_removed(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (file, mut lines, at) = any_line(pack, random, &[EVENTS, STUBS])?;
    pack.proves(&lines[at]).then_some(())?;
    let gone = lines.remove(at);
    let gone = Line::parse(gone.as_bytes()).unwrap();
    let mut removed = pack.lines(REMOVED);
    removed.push(format!(r#"{{"leaf":{},"hash":"{}"}}"#, gone.leaf()?, STANDARD.encode(gone.leaf_hash())));
    pack.set_lines(file, &lines);
    pack.set_lines(REMOVED, &removed);
    Some(Valid)
}

fn stub_as_event(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (file, mut lines, at) = any_line(pack, random, &[EVENTS])?;
    lines[at] = to_stub(&lines[at]);
    pack.set_lines(file, &lines);
    Some(Invalid)
}

fn event_as_stub(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (_, mut shown, at) = any_line(pack, random, &[EVENTS])?;
    let mut stubs = pack.lines(STUBS);
    stubs.push(shown.remove(at));
    pack.set_lines(EVENTS, &shown);
    pack.set_lines(STUBS, &stubs);
    Some(Invalid)
}

fn definition(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let (shown, stubs) = (pack.lines(EVENTS).len(), pack.lines(STUBS).len());
    let include = &mut pack.manifest["definition"]["include"];
    match random.below(6) {
        0 => {
            *include = json!([{ "actions": ["nothing like it"] }]);
            invalid_if(shown > 0)
        }
        1 => {
            *include = json!([{ "outcomes": ["another outcome"] }]);
            invalid_if(shown > 0)
        }
        2 => {
            *include = json!([{ "actions": [], "categories": ["none"], "outcomes": [] }, { "outcomes": ["nor this"] }]);
            invalid_if(shown > 0)
        }
        3 => {
            *include = json!([{ "actors": ["eve"] }]);
            Some(Invalid)
        }
        4 => {
            // The result depends on whether the stubs are in the period, which this test does not determine.
            *include = json!([{ "actions": [] }]);
            Some(if stubs > 0 { Either } else { Valid })
        }
        _ => {
            *include = json!([]);
            Some(if stubs > 0 { Either } else { Valid })
        }
    }
}

fn period(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let has_from = !pack.log()["from"].is_null();
    let shown = pack.lines(EVENTS).len();
    let period = &mut pack.manifest["period"];
    let (key, value, expected) = match random.below(8) {
        0 => ("since", "2001-01-01T00:00:00.000000Z", if has_from { Invalid } else { Either }),
        1 => ("since", "9999-01-01T00:00:00.000000Z", invalid_of(shown > 0)),
        2 => ("until", "2001-01-01T00:00:00.000000Z", invalid_of(shown > 0)),
        3 => ("until", "9999-12-31T23:59:59.999999Z", Either),
        4 => ("since", "2001-01-01", Invalid),
        5 => ("since", "2001-02-29T00:00:00.000000Z", Invalid),
        6 => ("until", "9999-01-01T00:00:00+00:00", Invalid),
        _ => ("until", "", Invalid),
    };
    period[key] = json!(value);
    Some(expected)
}

/// Moves the start of the period to the event of `from`. Other events of the period may lie before the range then.
fn earlier(pack: &mut Pack, _: &[Pack], _: &mut Random) -> Option<Expected> {
    let log = pack.log();
    let event = log["from"]["heads_event"].as_str()?;
    let start = event.find(r#""occurred_at":""#)? + 15;
    // The period starts at the event of `from`, not before it.
    pack.manifest["period"]["since"] = json!(event[start..start + 27]);
    Some(Invalid)
}

fn workspace(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let name = json!(random.pick(&["", "acme ", "globex", "audit", "Acme"]));
    let mut log = pack.log();
    (log["workspace"] != name).then_some(())?;
    let which = random.below(3);
    if which != 0 {
        pack.manifest["workspace"] = name.clone();
    }
    if which != 1 {
        log["workspace"] = name;
        pack.set_log(&log);
    }
    Some(Invalid)
}

fn count(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let events = pack.lines(EVENTS).len();
    pack.manifest["counts"]["events"] =
        [json!(events + 1), json!(-1), json!(events as f64), json!(null)][random.below(4)].clone();
    Some(Invalid)
}

fn filters(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    match random.below(3) {
        0 => {
            pack.manifest["filters"] = json!({ "actor": "eve" });
            invalid_if(pack.is_complete())
        }
        1 => {
            pack.manifest["filters"] = json!(null);
            Some(Invalid)
        }
        _ => {
            // The pack claims no more than before.
            pack.manifest["filters"] = json!({});
            Some(Valid)
        }
    }
}

fn mixed(pack: &mut Pack, others: &[Pack], random: &mut Random) -> Option<Expected> {
    let other = &others[random.below(others.len())];
    let file = random.pick(&[EVENTS, LOG, STUBS, REMOVED, CHECKPOINT]);
    if pack.files[file] == other.files[file] {
        return None;
    }
    // A pack of the same range and definition can differ in events without a proof only.
    let proven = |pack: &Pack| pack.lines(EVENTS).into_iter().filter(|line| pack.proves(line)).collect::<Vec<_>>();
    let expected = if file == EVENTS && proven(pack) == proven(other) { Either } else { Invalid };
    if OF_LINES.contains(&file) {
        pack.set_lines(file, &other.lines(file));
    } else {
        pack.files.insert(file.to_owned(), other.files[file].clone());
    }
    Some(expected)
}

fn left_out(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let file = random.pick(&[EVENTS, LOG, STUBS, REMOVED, CHECKPOINT, PREFIXES, "README.txt", "proof/"]);
    let before = pack.files.len();
    pack.files.retain(|name, _| !name.starts_with(file));
    (pack.files.len() < before).then_some(())?;
    invalid_if(![PREFIXES, "README.txt"].contains(&file))
}

/// Changes a file that neither proves anything nor is proven.
fn unproven(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let file = random.pick(&[PREFIXES, "README.txt", "events.csv", "summary.csv"]);
    let content = pack.files.get_mut(file).filter(|content| !content.is_empty())?;
    match random.below(2) {
        0 => content.clear(),
        _ => content[0] ^= 1,
    }
    Some(Valid)
}

/// Writes JSON in another form that some parsers read as the same value.
fn json(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut log = pack.log();
    let values = |object: &Value, keys: &[&str]| keys.iter().map(|key| object[*key].clone()).collect::<Value>();
    let (file, from, to) = match random.below(9) {
        0 => {
            log = values(&log, &["v", "workspace", "log_id", "claim", "head", "from", "first", "hashes"]);
            pack.set_log(&log);
            return Some(Invalid);
        }
        1 => {
            let head = any_head(&log, random)?;
            log[head] = values(&log[head], &["size", "root", "heads_event", "path"]);
            pack.set_log(&log);
            return Some(Invalid);
        }
        2 => {
            pack.manifest["period"] = values(&pack.manifest["period"], &["since", "until"]);
            return Some(Invalid);
        }
        3 => {
            pack.manifest.as_object_mut()?.remove("key");
            return Some(Invalid);
        }
        4 => (LOG, "{\"", "{\"v\":1,\""),
        5 => (LOG, "\"v\":1", "\"v\":1.0"),
        6 => (LOG, "\"first\":", "\"first\":-"),
        7 => (LOG, "{", "\u{feff}{"),
        _ => (LOG, "{", "\n {"),
    };
    let text = str::from_utf8(&pack.files[file]).unwrap().replacen(from, to, 1);
    pack.files.insert(file.to_owned(), text.into_bytes());
    Some(if to == "\n {" { Valid } else { Invalid })
}

/// Damages the zip, or makes it differ from the manifest.
fn listing(pack: &mut Pack, _: &[Pack], random: &mut Random) -> Option<Expected> {
    let mut listed = pack.listed();
    let at = random.below(listed.as_array()?.len());
    let file = &mut listed[at];
    let mut expected = Invalid;
    match random.below(14) {
        0 => file["sha256"] = json!("0".repeat(64)),
        1 => file["sha256"] = json!(file["sha256"].as_str()?.to_uppercase()),
        2 => file["bytes"] = json!(file["bytes"].as_u64()? + 1),
        3 => file["bytes"] = json!(file["bytes"].as_u64()?.checked_sub(1)?),
        4 => file["name"] = json!("another"),
        5 => {
            let again = file.clone();
            listed.as_array_mut()?.push(again);
        }
        6 => drop(listed.as_array_mut()?.remove(at)),
        7 => pack.beside.push(Beside::File("not listed")),
        8 => pack.beside.push(Beside::File("../not-listed")),
        9 => pack.beside.push(Beside::Link("link")),
        10 => pack.beside.push(Beside::Folder("folder/")),
        11 => {
            file["name"] = json!("folder//file");
            let content = pack.files.remove(pack.files.keys().nth(at)?.clone().as_str())?;
            pack.files.insert("folder//file".to_owned(), content);
        }
        12 => pack.manifest["pack_version"] = json!(2),
        _ => {
            pack.manifest["notes"] = json!({ "of": "nobody" });
            expected = Valid;
        }
    }
    pack.files_changed = Some(listed);
    Some(expected)
}
