//! The settings that describe all events of a request, and where their values come from.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::ptr::NonNull;

use pgrx::guc::{GucContext, GucFlags, GucRegistry};
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

use super::{Text, text};
use crate::pg::compat;

/// A setting that fills the argument of that name if a call omits it.
#[derive(Clone, Copy)]
pub enum Context {
    Workspace,
    Actor,
    Ip,
    UserAgent,
    SessionId,
    RequestId,
}

static WORKSPACE: Text = Text::new(Some(c""));
static ACTOR: Text = Text::new(Some(c""));
static IP: Text = Text::new(Some(c""));
static USER_AGENT: Text = Text::new(Some(c""));
static SESSION_ID: Text = Text::new(Some(c""));
static REQUEST_ID: Text = Text::new(Some(c""));

impl Context {
    /// All settings, in the order of the arguments of `audit.context`.
    pub const ALL: [Context; 6] =
        [Context::Workspace, Context::Actor, Context::Ip, Context::UserAgent, Context::SessionId, Context::RequestId];

    fn name(self) -> &'static CStr {
        match self {
            Context::Workspace => c"audit.workspace",
            Context::Actor => c"audit.actor",
            Context::Ip => c"audit.ip",
            Context::UserAgent => c"audit.user_agent",
            Context::SessionId => c"audit.session_id",
            Context::RequestId => c"audit.request_id",
        }
    }

    /// Returns the name of the argument of `audit.append` that the setting fills.
    pub fn argument(self) -> String {
        let name = self.name().to_string_lossy();
        name.strip_prefix("audit.").unwrap_or(&name).to_owned()
    }

    fn setting(self) -> &'static Text {
        match self {
            Context::Workspace => &WORKSPACE,
            Context::Actor => &ACTOR,
            Context::Ip => &IP,
            Context::UserAgent => &USER_AGENT,
            Context::SessionId => &SESSION_ID,
            Context::RequestId => &REQUEST_ID,
        }
    }

    fn description(self) -> &'static CStr {
        match self {
            Context::Workspace => c"Workspace of the events.",
            Context::Actor => c"Actor of the events.",
            Context::Ip => c"IP address of the actor.",
            Context::UserAgent => c"User agent of the actor.",
            Context::SessionId => c"Session of the actor in the application.",
            Context::RequestId => c"Request of the application.",
        }
    }
}

/// Defines the settings.
pub(super) fn define() {
    for context in Context::ALL {
        GucRegistry::define_string_guc(
            context.name(),
            context.description(),
            c"Call audit.context or use SET LOCAL once per request. audit.append uses the value if its own argument is omitted.",
            context.setting(),
            GucContext::Userset,
            GucFlags::default(),
        );
    }
}

/// Returns the present value. Returns None if it is not set or empty. Warns once per session about a value that was set
/// for the whole session.
pub fn value(context: Context) -> Option<String> {
    let value = plain_value(context)?;
    if !WARNED.get() && is_of_session(context) {
        WARNED.set(true);
        warn_of_session(context);
    }
    Some(value)
}

/// Returns the present value as [`value`] does, but without a warning.
pub fn plain_value(context: Context) -> Option<String> {
    text(context.setting()).filter(|value| !value.is_empty())
}

/// Sets the value until the end of the transaction. None means the default that the session has from its start.
pub fn set_local(context: Context, value: Option<&CString>) {
    // SAFETY: both strings are NUL-terminated and live through the call. PostgreSQL copies the value. A null value means
    // the default. PostgreSQL raises an error in a parallel worker.
    unsafe {
        pg_sys::set_config_option(
            context.name().as_ptr(),
            value.map_or(std::ptr::null(), |value| value.as_ptr()),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_LOCAL,
            true,
            0,
            false,
        );
    }
}

thread_local! {
    /// Whether this session was warned about a value of the session.
    static WARNED: Cell<bool> = const { Cell::new(false) };

    /// PostgreSQL's record of each setting. A custom setting keeps its record as long as the process lives.
    static RECORDS: Cell<[Option<NonNull<pg_sys::config_generic>>; Context::ALL.len()]> =
        const { Cell::new([None; Context::ALL.len()]) };
}

/// Returns whether SET made the value, or set_config for the session. A value of SET LOCAL, of the SET clause of a function,
/// of a role, of a database or of the connection is not such a value.
fn is_of_session(context: Context) -> bool {
    let Some(record) = record(context) else { return false };
    // SAFETY: the record is valid as long as the process lives. Its stack is null or has valid entries.
    unsafe {
        let record = record.as_ref();
        let is_set_for_session =
            record.stack.as_ref().is_none_or(|entry| entry.state == pg_sys::GucStackState::GUC_SET);
        record.source == pg_sys::GucSource::PGC_S_SESSION && is_set_for_session
    }
}

fn record(context: Context) -> Option<NonNull<pg_sys::config_generic>> {
    let mut records = RECORDS.get();
    let known = &mut records[context as usize];
    if known.is_none() {
        *known = compat::setting(context.name());
        RECORDS.set(records);
    }
    records[context as usize]
}

fn warn_of_session(context: Context) {
    let name = context.name().to_string_lossy();
    let message = format!("{name} was set for the whole session, so it may describe another request");
    ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, message, "audit.append")
        .set_hint(
            "A session behind a connection pooler serves many clients. Call audit.context(…) or use SET LOCAL in each \
             transaction. This warning appears once per session.",
        )
        .report(PgLogLevel::WARNING);
}
