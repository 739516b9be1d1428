//! The conversion of the caller's input to a row: defaults, checks, category, masking and expiry.

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::append::adjust::Adjustments;
use crate::append::catalog;
use crate::append::check;
use crate::append::context::{Context, assigned_xid};
use crate::append::details::details;
use crate::append::input::Input;
use crate::append::mask::{Masked, mask};
use crate::append::partition;
use crate::append::permission::allow;
use crate::append::salt::salt;
use crate::columns::{COUNT, Column};
use crate::limits;
use crate::pg::error::Error;
use crate::pg::jsonb::Container;
use crate::pg::role;
use crate::pg::values::{self, Text};
use crate::settings;

/// A row of `audit.event` without its id.
pub struct Event {
    values: [Option<Datum>; COUNT],
    /// The month of expiry, as [`partition::month_of`] counts it.
    pub month: i32,
    /// The workspace and the idempotency key, if the caller passed a key.
    pub idempotency: Option<(String, String)>,
}

impl Event {
    /// Checks the input, and fills omitted values.
    ///
    /// # Errors
    /// `42501` in a maintenance command, and those of the checks.
    pub fn prepare(input: Input<'_>, context: &Context) -> Result<Event, Error> {
        if role::is_restricted() {
            return Err(Error::Restricted);
        }
        let from_session = SessionContext::for_gaps_of(&input);
        let action = check::required(&limits::ACTION, input.action)?;
        let workspace = match input.workspace.or(text(&from_session.workspace)) {
            Some(workspace) => check::required(&limits::WORKSPACE, Some(workspace))?,
            None => return Err(Error::NoWorkspace),
        };
        let actor = check::name(&limits::ACTOR, input.actor.or(text(&from_session.actor)))?;
        let targets = check::targets(input.target, &input.targets)?;
        let outcome = check::outcome(input.outcome)?;
        let mut adjusted = Adjustments::default();
        let ip = input.ip.or(text(&from_session.ip)).map(|text| text.value());
        let ip = adjusted.address(Column::Ip.name(), ip);
        let user_agent = adjusted.text(&limits::USER_AGENT, input.user_agent.or(text(&from_session.user_agent)));
        let session_id = adjusted.text(&limits::SESSION_ID, input.session_id.or(text(&from_session.session_id)));
        let request_id = adjusted.text(&limits::REQUEST_ID, input.request_id.or(text(&from_session.request_id)));
        let key = check::name(&limits::IDEMPOTENCY_KEY, input.idempotency_key)?;

        let entry = catalog::action(action.value())?;
        allow(action.value(), &entry, input.is_own)?;
        let details = details(input.details, action.value(), &entry)?;

        let (occurred_at, expires_on) = match input.occurred_at {
            None => (context.now, catalog::expires_on(workspace.value(), context.now)?),
            Some((time, written)) => (time, imported_expires_on(workspace.value(), time, written, context.now)?),
        };

        let mut values = [None; COUNT];
        let mut set = |column: Column, value: Option<Datum>| values[column as usize] = value;
        set(Column::OccurredAt, Some(Datum::from(occurred_at)));
        set(Column::RecordedAt, Some(Datum::from(context.now)));
        set(Column::Xid, Some(Datum::from(context.xid)));
        set(Column::ExpiresOn, Some(Datum::from(expires_on)));
        set(Column::Workspace, Some(workspace.datum()));
        set(Column::Category, Some(Text::new(&entry.category).datum()));
        set(Column::Action, Some(action.datum()));
        set(Column::Outcome, Some(outcome.datum()));
        set(Column::Actor, actor.map(|text| text.datum()));
        set(Column::Targets, Some(targets));
        set(Column::Ip, ip);
        set(Column::UserAgent, user_agent);
        set(Column::SessionId, session_id);
        set(Column::RequestId, request_id);
        set(Column::Adjusted, adjusted.names());
        set_provenance(&mut values, context);
        set_details(&mut values, &details);

        Ok(Event {
            values,
            month: partition::month_of(expires_on),
            idempotency: key.map(|key| (workspace.value().to_owned(), key.value().to_owned())),
        })
    }

    /// Makes an event of the library itself about a refused attempt, which another transaction stores. It takes nothing that the
    /// caller has set, and runs no query. So the caller cannot make it fail.
    pub fn of_refusal(actor: &str, details: (Container<'_>, Datum), context: &Context) -> Event {
        let mut values = [None; COUNT];
        let mut set = |column: Column, value: Datum| values[column as usize] = Some(value);
        set(Column::OccurredAt, Datum::from(context.now));
        set(Column::RecordedAt, Datum::from(context.now));
        set(Column::Xid, Datum::from(context.xid));
        // of_values() sets the day.
        set(Column::ExpiresOn, Datum::from(0));
        set(Column::Workspace, Text::new("audit").datum());
        set(Column::Category, Text::new("audit").datum());
        set(Column::Action, Text::new("change_refused").datum());
        set(Column::Outcome, Text::new("denied").datum());
        set(Column::Actor, Text::new(actor).datum());
        set(Column::Targets, values::text_array(&[]));
        set_provenance(&mut values, context);
        set_details(&mut values, &mask(details.0, details.1));
        Event { values, month: 0, idempotency: None }
    }

    /// Makes an event of the values of its columns, which an earlier process has prepared. The present transaction stores
    /// it.
    ///
    /// # Errors
    /// `42P01` if the tables of the extension do not exist.
    pub fn of_values(mut values: [Option<Datum>; COUNT], key: Option<String>) -> Result<Event, Error> {
        let xid = assigned_xid();
        // SAFETY: reads the messages of other processes. As in Context, this follows the assignment of the id.
        unsafe { pg_sys::AcceptInvalidationMessages() };
        let of = |column: Column| values[column as usize].expect("the column is NOT NULL");
        // SAFETY: the column is of type text, and lives as long as the values.
        let workspace = unsafe { Text::from_datum(of(Column::Workspace)) }.value();
        let expires_on = catalog::expires_on(workspace, of(Column::OccurredAt).value() as i64)?;
        values[Column::Xid as usize] = Some(Datum::from(xid));
        values[Column::ExpiresOn as usize] = Some(Datum::from(expires_on));
        Ok(Event {
            values,
            month: partition::month_of(expires_on),
            idempotency: key.map(|key| (workspace.to_owned(), key)),
        })
    }

    /// Returns the values of the columns. None stands for NULL.
    pub fn values(&self, id: i64) -> [Option<Datum>; COUNT] {
        let mut values = self.values;
        values[Column::Id as usize] = Some(Datum::from(id));
        values
    }
}

fn set_provenance(values: &mut [Option<Datum>; COUNT], context: &Context) {
    values[Column::DatabaseUser as usize] = Some(context.database_user);
    values[Column::ApplicationName as usize] = context.application_name;
    values[Column::ClientAddr as usize] = context.client_addr;
    values[Column::Salt as usize] = Some(values::varlena(&[&salt()]));
}

fn set_details(values: &mut [Option<Datum>; COUNT], details: &Masked) {
    values[Column::Details as usize] = Some(details.datum);
    values[Column::Masked as usize] = (details.secrets > 0).then(|| Datum::from(details.secrets as i32));
}

/// The settings that fill values that a call omits.
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
        use settings::context::{Context, value};
        let fill = |given: bool, which| if given { None } else { value(which) };
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

/// Returns [`catalog::expires_on`] of an imported event, which must be past and not expired yet (SQLSTATE `ZA009`).
fn imported_expires_on(workspace: &str, time: i64, written: &str, now: i64) -> Result<i32, Error> {
    const MINUS_INFINITY: i64 = i64::MIN;
    let out_of_range = |what| {
        let problem = format!("occurred_at \"{}\" {what}", check::shorten(written));
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
