//! From what a caller gives to the row that is stored: defaults, checks, category, masking, expiry.

use std::net::IpAddr;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::append::catalog::{self, Action};
use crate::append::context::Context;
use crate::append::mask::mask;
use crate::append::partition;
use crate::append::salt::salt;
use crate::pg::error::Error;
use crate::pg::jsonb::Container;
use crate::pg::owner;
use crate::pg::values::{self, Text};
use crate::settings::{self, UnknownActions};

/// How many columns `audit.event` has.
pub const COLUMNS: usize = 20;

/// They, in the order of sql/api/event.sql.
pub const COLUMN_NAMES: [&str; COLUMNS] = [
    "id",
    "occurred_at",
    "recorded_at",
    "xid",
    "expires_on",
    "workspace",
    "category",
    "action",
    "outcome",
    "actor",
    "targets",
    "ip",
    "user_agent",
    "session_id",
    "request_id",
    "database_user",
    "application_name",
    "client_addr",
    "details",
    "salt",
];

const SUCCESS: &str = "success";
const OUTCOMES: [&str; 3] = [SUCCESS, "failure", "denied"];
const MAX_TARGETS: usize = 1000;

/// What a caller gives; None is left out.
#[derive(Default)]
pub struct Input<'a> {
    pub action: Option<Text<'a>>,
    pub workspace: Option<Text<'a>>,
    pub actor: Option<Text<'a>>,
    pub target: Option<Text<'a>>,
    pub targets: Vec<Option<Text<'a>>>,
    /// The root container and, where it is one already, the jsonb datum.
    pub details: Option<(Container<'a>, Option<Datum>)>,
    pub outcome: Option<Text<'a>>,
    pub ip: Option<Ip<'a>>,
    pub user_agent: Option<Text<'a>>,
    pub session_id: Option<Text<'a>>,
    pub request_id: Option<Text<'a>>,
    pub idempotency_key: Option<Text<'a>>,
    /// Of an imported event: microseconds since 2000-01-01 UTC, and as it was written.
    pub occurred_at: Option<(i64, &'a str)>,
}

/// An IP address, as an inet datum or as text.
pub enum Ip<'a> {
    Inet(Datum),
    Text(&'a str),
}

/// A row of `audit.event`, but for its id.
pub struct Event {
    values: [Option<Datum>; COLUMNS],
    /// Month of expiry, see [`partition::month_of`].
    pub month: i32,
    /// Workspace and key, where the caller gave a key.
    pub idempotency: Option<(String, String)>,
}

impl Event {
    /// Checks the input and fills what it leaves out.
    pub fn prepare(input: Input<'_>, context: &Context) -> Result<Event, Error> {
        let from_session = SessionContext::for_gaps_of(&input);
        let action = required_name("action", input.action, 200)?;
        let workspace = match input.workspace.or(text(&from_session.workspace)) {
            Some(workspace) => required_name("workspace", Some(workspace), 200)?,
            None => return Err(Error::NoWorkspace),
        };
        let actor = name("actor", input.actor.or(text(&from_session.actor)), 1000)?;
        let targets = targets(input.target, &input.targets)?;
        let outcome = outcome(input.outcome)?;
        let ip = match input.ip {
            Some(Ip::Inet(datum)) => Some(host(datum)?),
            Some(Ip::Text(address)) => Some(parse_ip(address)?),
            None => from_session.ip.as_deref().map(parse_ip).transpose()?,
        };
        let user_agent = text_up_to("user_agent", input.user_agent.or(text(&from_session.user_agent)), 4000)?;
        let session_id = name("session_id", input.session_id.or(text(&from_session.session_id)), 1000)?;
        let request_id = name("request_id", input.request_id.or(text(&from_session.request_id)), 1000)?;
        let key = name("idempotency_key", input.idempotency_key, 1000)?;

        let entry = catalog::action(action.value())?;
        allow(action.value(), &entry)?;
        let details = details(input.details, action.value(), &entry)?;

        let (occurred_at, expires_on) = match input.occurred_at {
            None => (context.now, catalog::expires_on(workspace.value(), context.now)?),
            Some((time, written)) => (time, imported_expires_on(workspace.value(), time, written, context.now)?),
        };

        Ok(Event {
            values: [
                None,
                Some(Datum::from(occurred_at)),
                Some(Datum::from(context.now)),
                Some(Datum::from(context.xid)),
                Some(Datum::from(expires_on)),
                Some(workspace.datum()),
                Some(Text::new(&entry.category).datum()),
                Some(action.datum()),
                Some(outcome.datum()),
                actor.map(|text| text.datum()),
                Some(targets),
                ip,
                user_agent.map(|text| text.datum()),
                session_id.map(|text| text.datum()),
                request_id.map(|text| text.datum()),
                Some(context.database_user),
                context.application_name,
                context.client_addr,
                Some(details),
                Some(values::varlena(&[&salt()])),
            ],
            month: partition::month_of(expires_on),
            idempotency: key.map(|key| (workspace.value().to_owned(), key.value().to_owned())),
        })
    }

    /// The columns' values, None for NULL.
    pub fn values(&self, id: i64) -> [Option<Datum>; COLUMNS] {
        let mut values = self.values;
        values[0] = Some(Datum::from(id));
        values
    }
}

/// The settings that fill what a call leaves out.
#[derive(Default)]
struct SessionContext {
    workspace: Option<String>,
    actor: Option<String>,
    ip: Option<String>,
    user_agent: Option<String>,
    session_id: Option<String>,
    request_id: Option<String>,
}

impl SessionContext {
    fn for_gaps_of(input: &Input<'_>) -> SessionContext {
        use settings::{Context, context};
        let fill = |given: bool, which| if given { None } else { context(which) };
        SessionContext {
            workspace: fill(input.workspace.is_some(), Context::Workspace),
            actor: fill(input.actor.is_some(), Context::Actor),
            ip: fill(input.ip.is_some(), Context::Ip),
            user_agent: fill(input.user_agent.is_some(), Context::UserAgent),
            session_id: fill(input.session_id.is_some(), Context::SessionId),
            request_id: fill(input.request_id.is_some(), Context::RequestId),
        }
    }
}

fn text(value: &Option<String>) -> Option<Text<'_>> {
    value.as_deref().map(Text::new)
}

fn required_name<'a>(what: &'static str, value: Option<Text<'a>>, limit: usize) -> Result<Text<'a>, Error> {
    name(what, value, limit)?.ok_or_else(|| Error::InvalidValue {
        name: what,
        problem: "is missing".into(),
        hint: "Every event has an action.",
    })
}

/// A name: not empty, no control characters, at most `limit` bytes.
fn name<'a>(what: &'static str, value: Option<Text<'a>>, limit: usize) -> Result<Option<Text<'a>>, Error> {
    let Some(text) = text_up_to(what, value, limit)? else {
        return Ok(None);
    };
    let invalid = |problem: &str, hint| Error::InvalidValue { name: what, problem: problem.into(), hint };
    if text.value().is_empty() {
        return Err(invalid("is empty", "Leave it out where there is none."));
    }
    if text.value().chars().any(char::is_control) {
        return Err(invalid("contains a control character", "Names are printable text on one line."));
    }
    Ok(Some(text))
}

fn text_up_to<'a>(what: &'static str, value: Option<Text<'a>>, limit: usize) -> Result<Option<Text<'a>>, Error> {
    match value {
        Some(text) if text.value().len() > limit => Err(Error::InvalidValue {
            name: what,
            problem: format!("has {} bytes, the limit is {limit}", text.value().len()),
            hint: "Put long values into details.",
        }),
        other => Ok(other),
    }
}

/// The one target and the list together, each once, in the order given.
fn targets(target: Option<Text<'_>>, list: &[Option<Text<'_>>]) -> Result<Datum, Error> {
    if list.len() > MAX_TARGETS {
        return Err(Error::InvalidValue {
            name: "targets",
            problem: format!("has {} elements, the limit is {MAX_TARGETS}", list.len()),
            hint: "Append one event per group of targets.",
        });
    }
    let mut all: Vec<Text<'_>> = Vec::with_capacity(list.len() + 1);
    for candidate in target.map(Some).into_iter().chain(list.iter().copied()) {
        let text = name("target", candidate, 1000)?.ok_or_else(|| Error::InvalidValue {
            name: "target",
            problem: "is null".into(),
            hint: "Leave out what there is none of.",
        })?;
        if !all.iter().any(|earlier| earlier.value() == text.value()) {
            all.push(text);
        }
    }
    Ok(values::text_array(&all))
}

fn outcome(value: Option<Text<'_>>) -> Result<Text<'_>, Error> {
    match value {
        None => Ok(Text::new(SUCCESS)),
        Some(text) if OUTCOMES.contains(&text.value()) => Ok(text),
        Some(text) => Err(Error::InvalidValue {
            name: "outcome",
            problem: format!("\"{}\" does not exist", shorten(text.value())),
            hint: "Outcomes are success, failure and denied.",
        }),
    }
}

fn host(inet: Datum) -> Result<Datum, Error> {
    // SAFETY: the argument's SQL type is inet, and it is not NULL.
    match unsafe { values::inet_netmask(inet) } {
        None => Ok(inet),
        Some(bits) => Err(Error::InvalidValue {
            name: "ip",
            problem: format!("has netmask /{bits}"),
            hint: "Pass the address of one host.",
        }),
    }
}

fn parse_ip(address: &str) -> Result<Datum, Error> {
    address.parse::<IpAddr>().map(values::inet).map_err(|_| Error::InvalidValue {
        name: "ip",
        problem: format!("\"{}\" is not an IP address", shorten(address)),
        hint: "Pass an IPv4 or IPv6 address without port and netmask.",
    })
}

/// Whether the caller may append this action at all.
fn allow(name: &str, action: &Action) -> Result<(), Error> {
    if !action.known && settings::unknown_actions() == UnknownActions::Reject {
        return Err(Error::UnknownAction(name.into()));
    }
    if action.category == "audit" && !if OWN.contains(&name) { is_owner() } else { is_trusted() } {
        return Err(Error::ReservedAction(name.into()));
    }
    Ok(())
}

/// What the log's own functions alone append: what they tell is believed by those who verify.
const OWN: [&str; 8] = [
    "heads_recorded",
    "incarnation_begun",
    "partition_dropped",
    "events_removed",
    "event_redacted",
    "retention_changed",
    "legal_hold_placed",
    "legal_hold_released",
];

/// Whether this is a superuser, or within a function of the extension that acts as its owner.
fn is_owner() -> bool {
    // SAFETY: look-ups in the system caches.
    unsafe {
        let user = pg_sys::GetUserId();
        pg_sys::superuser_arg(user) || owner::id().is_ok_and(|owner| owner == user)
    }
}

fn is_trusted() -> bool {
    // SAFETY: look-ups in the system caches.
    unsafe {
        let user = pg_sys::GetUserId();
        [c"audit_sidecar", c"audit_admin"].iter().any(|role| {
            let role = pg_sys::get_role_oid(role.as_ptr(), true);
            role != pg_sys::InvalidOid && pg_sys::has_privs_of_role(user, role)
        }) || pg_sys::superuser_arg(user)
    }
}

/// The details to store: checked, then masked.
fn details(given: Option<(Container<'_>, Option<Datum>)>, name: &str, action: &Action) -> Result<Datum, Error> {
    let empty = 0x2000_0000_u32.to_ne_bytes();
    let (container, datum) = given.unwrap_or((Container::new(&empty), None));
    let invalid = |problem: String| Error::InvalidDetails { action: name.into(), problem };
    if !container.is_object() {
        return Err(invalid("are not a JSON object".into()));
    }
    let bytes = container.bytes().len();
    let limit = settings::max_details_size();
    // What the log itself tells, of a thousand workspaces perhaps, must not fail on what applications are allowed.
    if bytes > limit && action.category != "audit" {
        return Err(Error::DetailsTooLarge { bytes, limit });
    }
    // What is sealed is the text of the details: nobody must be able to append what takes gigabytes to write.
    let digits = container.digits();
    if digits > limit {
        return Err(Error::DetailsTooLarge { bytes: digits, limit });
    }
    for required in &action.required_keys {
        if !container.pairs().any(|(key, _)| key == required) {
            return Err(invalid(format!("lack the key \"{required}\"")));
        }
    }
    let datum = datum.unwrap_or_else(|| values::varlena(&[container.bytes()]));
    if let Some(schema) = &action.schema {
        schema.check(datum).map_err(invalid)?;
    }
    // SAFETY: datum is a jsonb, given or made above.
    let (aligned, datum) = unsafe { values::jsonb_bytes(datum) };
    Ok(mask(Container::new(aligned), datum))
}

/// As [`catalog::expires_on`], for an event that must be past and not expired yet.
fn imported_expires_on(workspace: &str, time: i64, written: &str, now: i64) -> Result<i32, Error> {
    const MINUS_INFINITY: i64 = i64::MIN;
    let out_of_range = |what| {
        let problem = format!("occurred_at \"{}\" {what}", shorten(written));
        Err(Error::TimeOutOfRange { problem })
    };
    if time > now {
        return out_of_range("lies in the future");
    }
    let expired = "is so long ago that the event has expired";
    if time == MINUS_INFINITY {
        return out_of_range(expired);
    }
    let expires_on = catalog::expires_on(workspace, time)?;
    if expires_on < catalog::day_of(now) { out_of_range(expired) } else { Ok(expires_on) }
}

fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}
