//! A second, naive implementation of the filters. It keeps the generated events in memory.

use std::net::IpAddr;

use serde_json::{Map, Value, json};
use tokio_postgres::Client;

use audit_harness::query::{all, one};

use crate::support::Random;

pub const WORKSPACES: [&str; 3] = ["acme", "umbrella", "ac'me \"ü\""];
pub const ACTIONS: [&str; 12] = [
    "login_failed",
    "login_succeeded",
    "user_role_changed",
    "feedback_submitted",
    "thing done",
    "x",
    "ticket.created",
    "ticket.closed",
    "ticket.*",
    "ticket_viewed",
    "100%",
    "100!",
];
pub const ACTORS: [&str; 9] = [
    "user:1",
    "user:2",
    "o'neill@example.com",
    "%",
    "system:rules",
    "system:sync",
    "SYSTEM:rules",
    "star*",
    "CORP\\dana",
];
pub const TARGETS: [&str; 8] = ["t:1", "t:2", "customer:12", "a,b", "{x}", "NULL", "\"q\"", "ünï"];
pub const OUTCOMES: [&str; 3] = ["success", "failure", "denied"];
pub const REQUESTS: [&str; 5] = ["r-1", "r-2", "r,3", "t:1", "r*"];
pub const SESSIONS: [&str; 4] = ["s-1", "s-2", "r-1", "s\"3"];
pub const ADDRESSES: [&str; 10] = [
    "10.1.2.3",
    "10.1.2.77",
    "10.1.9.1",
    "10.200.0.1",
    "::ffff:10.1.2.3",
    "192.0.2.7",
    "2001:db8:1:2::7",
    "2001:db8:1:2:3::8",
    "2001:db8:1:ff::8",
    "2001:db9::1",
];
/// Ranges of every kind: with keys of their own, of several keys, within one key, and without any.
pub const RANGES: [&str; 20] = [
    "10.1.2.3",
    "10.1.2.77/32",
    "10.1.2.64/26",
    "10.1.2.0/24",
    "10.1.2.9/23",
    "10.1.0.0/17",
    "10.0.0.0/8",
    "10.128.0.0/9",
    "0.0.0.0/0",
    "8.0.0.0/5",
    "::ffff:10.1.2.3",
    "::ffff:10.1.0.0/112",
    "2001:db8:1:2::7",
    "2001:db8:1:2::/80",
    "2001:db8:1:2::/64",
    "2001:db8:1::/50",
    "2001:db8::/40",
    "2001:db8::/31",
    "2000::/3",
    "::/0",
];

const MICROSECOND: i64 = 1_000_000;

/// A generated event.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: i64,
    pub workspace: &'static str,
    /// Microseconds since 1970.
    pub occurred_at: i64,
    pub category: &'static str,
    pub action: &'static str,
    pub outcome: &'static str,
    pub actor: Option<&'static str>,
    pub targets: Vec<&'static str>,
    pub request_id: Option<&'static str>,
    pub session_id: Option<&'static str>,
    pub ip: Option<&'static str>,
    pub details: Value,
}

/// Filters of the query functions; times are microseconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub workspace: &'static str,
    pub action: Option<&'static str>,
    pub actor: Option<&'static str>,
    pub target: Option<&'static str>,
    pub category: Option<&'static str>,
    pub outcome: Option<&'static str>,
    pub since: Option<i64>,
    pub until: Option<i64>,
    pub details: Option<Value>,
    pub request_id: Option<&'static str>,
    pub session_id: Option<&'static str>,
    pub ip: Option<&'static str>,
    /// The values of the argument `filters` by key: the name of a field, with `!` behind it if they are excluded.
    pub fields: Vec<(String, Vec<String>)>,
}

/// Generates and imports `amount` events of the last 60 days, and returns them newest first.
pub async fn import(client: &Client, random: &mut Random, amount: usize) -> Vec<Event> {
    let now: i64 = one(client, "SELECT (extract(epoch FROM now()) * 1000000)::bigint", &[]).await;
    let mut events: Vec<Event> = (0..amount).map(|_| generate(random, now)).collect();
    let batch: Vec<Value> = events
        .iter()
        .map(|event| {
            json!({
                "workspace": event.workspace, "occurred_at": rfc3339(event.occurred_at), "action": event.action,
                "outcome": event.outcome, "actor": event.actor, "targets": event.targets, "details": event.details,
                "request_id": event.request_id, "session_id": event.session_id, "ip": event.ip,
            })
        })
        .collect();
    let ids: Vec<i64> = all(client, "SELECT audit.import($1)", &[&json!(batch)]).await;
    for (event, id) in events.iter_mut().zip(ids) {
        event.id = id;
    }
    events.sort_by_key(|event| std::cmp::Reverse((event.occurred_at, event.id)));
    events
}

/// Returns filters as a user might choose them; `since` is always set.
pub fn filter(random: &mut Random, events: &[Event]) -> Filter {
    let some = &events[random.below(events.len())];
    let other = &events[random.below(events.len())];
    let mut filter = Filter {
        workspace: if random.one_in(20) { "nobody" } else { some.workspace },
        since: Some(some.occurred_at.min(other.occurred_at)),
        ..Filter::default()
    };
    if random.one_in(2) {
        filter.until = Some(some.occurred_at.max(other.occurred_at) + i64::from(random.one_in(2)));
        filter.until = filter.until.filter(|until| Some(*until) > filter.since);
    } else {
        filter.since = filter.since.map(|since| since - 70 * 86_400 * MICROSECOND);
    }
    if random.one_in(3) {
        filter.action = Some(random.pick(&ACTIONS));
    }
    if random.one_in(3) {
        filter.actor = Some(random.pick(&ACTORS));
    }
    if random.one_in(2) {
        filter.target = Some(random.pick(&TARGETS));
    }
    if random.one_in(4) {
        filter.category = Some(random.pick(&["auth", "admin", "other", "feedback"]));
    }
    if random.one_in(4) {
        filter.outcome = Some(random.pick(&OUTCOMES));
    }
    if random.one_in(4) {
        filter.details = Some(match random.below(4) {
            0 => json!({}),
            1 => json!({"n": random.below(3)}),
            2 => json!({"list": [random.below(4)]}),
            _ => json!({"inner": {"deep": {"flag": random.one_in(2)}}}),
        });
    }
    if random.one_in(8) {
        filter.request_id = Some(random.pick(&REQUESTS));
    }
    if random.one_in(8) {
        filter.session_id = Some(random.pick(&SESSIONS));
    }
    if random.one_in(6) {
        filter.ip = Some(random.pick(&RANGES));
    }
    filter
}

/// As [`filter`], with several values, prefixes and exclusions; nothing else narrows it but the period.
pub fn filter_of_lists(random: &mut Random, events: &[Event]) -> Filter {
    let Filter { workspace, since, until, .. } = filter(random, events);
    let mut filter = Filter { workspace, since, until, ..Filter::default() };
    for (name, pool) in [
        ("action", [&ACTIONS[..], &["ticket.**", "ticket.*", "100*", "lo*", "*", "%*", "nothing*"]].concat()),
        ("actor", [&ACTORS[..], &["star**", "system:*", "user:*", "*", "CORP\\*", "o'*"]].concat()),
        ("target", TARGETS.to_vec()),
        ("category", vec!["auth", "admin", "other", "feedback"]),
        ("outcome", OUTCOMES.to_vec()),
        ("request_id", REQUESTS.to_vec()),
        ("session_id", SESSIONS.to_vec()),
        ("ip", RANGES.to_vec()),
    ] {
        for key in [name.to_owned(), format!("{name}!")] {
            if random.one_in(7) {
                let values = (0..=random.below(4)).map(|_| random.pick(&pool).to_owned()).collect();
                filter.fields.push((key, values));
            }
        }
    }
    filter
}

impl Filter {
    /// Returns whether the filter selects the event.
    pub fn takes(&self, event: &Event) -> bool {
        event.workspace == self.workspace
            && self.action.is_none_or(|action| event.action == action)
            && self.actor.is_none_or(|actor| event.actor == Some(actor))
            && self.target.is_none_or(|target| event.targets.contains(&target))
            && self.category.is_none_or(|category| event.category == category)
            && self.outcome.is_none_or(|outcome| event.outcome == outcome)
            && self.since.is_none_or(|since| event.occurred_at >= since)
            && self.until.is_none_or(|until| event.occurred_at < until)
            && self.details.as_ref().is_none_or(|details| contains(&event.details, details))
            && self.request_id.is_none_or(|request| event.request_id == Some(request))
            && self.session_id.is_none_or(|session| event.session_id == Some(session))
            && self.ip.is_none_or(|range| event.ip.is_some_and(|ip| is_within(ip, range)))
            && self.fields.iter().all(|(key, values)| {
                let any = |name: &str| values.iter().any(|value| event.has(name, value));
                key.strip_suffix('!').map_or_else(|| any(key), |name| !any(name))
            })
    }

    /// Returns the ids of the selected events, in the order of `events`.
    pub fn ids(&self, events: &[Event]) -> Vec<i64> {
        events.iter().filter(|event| self.takes(event)).map(|event| event.id).collect()
    }

    /// Returns the named arguments of a query function.
    pub fn arguments(&self) -> String {
        let text = |value: Option<&str>| value.map(quote);
        let time = |value: Option<i64>| value.map(|at| quote(&rfc3339(at)));
        let given = [
            ("workspace", Some(quote(self.workspace))),
            ("action", text(self.action)),
            ("actor", text(self.actor)),
            ("target", text(self.target)),
            ("category", text(self.category)),
            ("outcome", text(self.outcome)),
            ("since", time(self.since)),
            ("until", time(self.until)),
            ("details", self.details.as_ref().map(|details| quote(&details.to_string()))),
            ("request_id", text(self.request_id)),
            ("session_id", text(self.session_id)),
            ("ip", text(self.ip)),
            ("filters", (!self.fields.is_empty()).then(|| quote(&self.lists().to_string()))),
        ];
        let given: Vec<String> =
            given.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name} => {value}"))).collect();
        given.join(", ")
    }

    /// The argument `filters`; a value alone stands for itself.
    fn lists(&self) -> Value {
        let json = |values: &[String]| if let [value] = values { json!(value) } else { json!(values) };
        self.fields.iter().map(|(key, values)| (key.clone(), json(values))).collect::<Map<_, _>>().into()
    }

    /// The condition in plain SQL, over all rows, but for `fields` and `ip`.
    pub fn naive_sql(&self) -> String {
        let mut sql = format!("workspace = {}", quote(self.workspace));
        for (column, value) in [
            ("action", self.action),
            ("actor", self.actor),
            ("category", self.category),
            ("outcome", self.outcome),
            ("request_id", self.request_id),
            ("session_id", self.session_id),
        ] {
            if let Some(value) = value {
                sql += &format!(" AND {column} IS NOT DISTINCT FROM {}", quote(value));
            }
        }
        if let Some(target) = self.target {
            sql += &format!(" AND {} = ANY (targets)", quote(target));
        }
        for (operator, at) in [(">=", self.since), ("<", self.until)] {
            if let Some(at) = at {
                sql += &format!(" AND (extract(epoch FROM occurred_at) * 1000000)::bigint {operator} {at}");
            }
        }
        if let Some(details) = &self.details {
            sql += &format!(" AND details @> {}::jsonb", quote(&details.to_string()));
        }
        sql
    }
}

impl Event {
    fn has(&self, name: &str, value: &str) -> bool {
        match name {
            "action" => is_like(self.action, value),
            "actor" => self.actor.is_some_and(|actor| is_like(actor, value)),
            "target" => self.targets.contains(&value),
            "category" => self.category == value,
            "outcome" => self.outcome == value,
            "request_id" => self.request_id == Some(value),
            "session_id" => self.session_id == Some(value),
            "ip" => self.ip.is_some_and(|ip| is_within(ip, value)),
            _ => panic!("there is no filter {name}"),
        }
    }
}

/// An asterisk at the end stands for any characters, two for one.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(literal) if literal.ends_with('*') => text == literal,
        Some(prefix) => text.starts_with(prefix),
        None => text == pattern,
    }
}

/// Compares the first bits of both; an IPv4 range also takes addresses that are mapped to IPv6.
fn is_within(address: &str, range: &str) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => format!("{:032b}", v4.to_bits()),
        IpAddr::V6(v6) => format!("{:0128b}", v6.to_bits()),
    };
    let (network, length) = range.split_once('/').unwrap_or((range, ""));
    let network: IpAddr = network.parse().expect("an address");
    let mut length = length.parse().unwrap_or(bits(network).len());
    let mut address: IpAddr = address.parse().expect("an address");
    let mut network_bits = bits(network);
    if network.to_canonical().is_ipv4() {
        address = address.to_canonical();
        network_bits = bits(network.to_canonical());
        length -= bits(network).len() - network_bits.len();
    }
    let address = bits(address);
    address.len() == network_bits.len() && address[..length] == network_bits[..length]
}

/// Formats microseconds since 1970 as RFC 3339.
pub fn rfc3339(at: i64) -> String {
    jiff::Timestamp::from_microsecond(at).expect("the time is in range").to_string()
}

fn generate(random: &mut Random, now: i64) -> Event {
    let action = random.pick(&ACTIONS);
    // Many times are whole seconds, so that several events share a moment.
    let age = random.below(60 * 86_400) as i64 * MICROSECOND;
    let fraction = if random.one_in(2) { random.below(1_000_000) as i64 } else { 0 };
    let moment = if random.one_in(5) { now - (random.below(20) as i64 + 1) * 3600 * MICROSECOND } else { now - age };
    let mut targets: Vec<&str> = (0..random.below(4)).map(|_| random.pick(&TARGETS)).collect();
    targets.sort();
    targets.dedup();
    Event {
        id: 0,
        workspace: random.pick(&WORKSPACES),
        occurred_at: (moment / MICROSECOND - 1) * MICROSECOND + fraction,
        category: match action {
            "login_failed" | "login_succeeded" => "auth",
            "user_role_changed" => "admin",
            "feedback_submitted" => "feedback",
            _ => "other",
        },
        action,
        outcome: random.pick(&OUTCOMES),
        actor: (!random.one_in(4)).then(|| random.pick(&ACTORS)),
        targets,
        request_id: (!random.one_in(3)).then(|| random.pick(&REQUESTS)),
        session_id: (!random.one_in(3)).then(|| random.pick(&SESSIONS)),
        ip: (!random.one_in(4)).then(|| random.pick(&ADDRESSES)),
        details: match random.below(3) {
            0 => json!({}),
            1 => json!({"n": random.below(3), "list": [random.below(4), {"a": 1}, random.below(4)]}),
            _ => json!({"n": random.below(3), "inner": {"deep": {"flag": random.one_in(2), "more": null}}}),
        },
    }
}

/// Returns whether `whole` contains `part`, as PostgreSQL defines it for the shapes above: objects by key, arrays as
/// sets.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|inner| contains(inner, value)))
        }
        (Value::Array(whole), Value::Array(part)) => part.iter().all(|p| whole.iter().any(|w| contains(w, p))),
        _ => whole == part,
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
