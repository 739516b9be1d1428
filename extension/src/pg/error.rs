//! The errors that the extension raises, and how they reach the client.

use std::ffi::c_int;

use pgrx::pg_sys;

/// An error that the extension itself raises. Class `ZA` belongs to the extension. The SQL standard reserves classes
/// that begin with `I` to `Z` for implementations. PostgreSQL uses none that begins with `Z`.
#[derive(Debug)]
pub enum Error {
    /// `ZA001`: a statement tries to change or delete events.
    AppendOnly { what: String },
    /// `ZA001`: a statement tries to change an object of the extension.
    Guarded { what: String },
    /// `ZA002`: neither the call nor the session names a workspace.
    NoWorkspace,
    /// `ZA003`: a value cannot be stored.
    InvalidValue { name: &'static str, problem: String, hint: &'static str },
    /// `ZA004`: the catalog does not have the action, and `audit.unknown_actions` is `reject`.
    UnknownAction(String),
    /// `ZA005`: the details are not an object, lack a key, or do not match the schema of the action.
    InvalidDetails { action: String, problem: String },
    /// `ZA006`: the details are larger than `audit.max_details_size`.
    DetailsTooLarge { bytes: usize, limit: usize },
    /// `ZA007`: an element of a batch is not a valid event.
    InvalidElement { problem: String },
    /// `ZA009`: an imported event is in the future or past its retention.
    TimeOutOfRange { problem: String },
    /// `ZA006`: the event is larger than the queue of autonomous appends.
    EventTooLarge { bytes: usize, limit: usize },
    /// `ZA018`: no sealer takes autonomous events. Nothing was stored.
    NoSealer { problem: String, hint: &'static str },
    /// `ZA019`: the queue of autonomous appends has no room for the event. Nothing was stored.
    QueueFull { bytes: usize, free: usize },
    /// `ZA020`: a sealer has not answered in time. The event may or may not be stored.
    Unconfirmed { seconds: f64 },
    /// `42501`: the caller may not append this reserved action. If `is_own`, only the extension itself appends it.
    ReservedAction { action: String, is_own: bool },
    /// `42501`: the code of a table's owner runs within a maintenance command of another role.
    Restricted,
    /// `42501`: the caller may read only some workspaces, and not this one. It may not exist.
    NotGranted(String),
    /// `42883`: the function behind a public function does not exist.
    NoInner(u32),
    /// `42P01`: a relation of the extension does not exist.
    NotInstalled(String),
    /// `55000`: a relation is not a partition of `audit.event`.
    NoPartition(String),
    /// `25000`: the isolation level hides what was committed since the transaction began, so events cannot be changed.
    OldSnapshot,
    /// `0A000`: a set-returning function is called in a context that does not accept a set.
    NoSetExpected,
    /// `XX001`: the tiles of a workspace log are damaged.
    DamagedLog { problem: String },
    /// An error that PostgreSQL raised about a value in a batch, or in a sealer that stored an autonomous event. It keeps its
    /// SQLSTATE.
    Value { sqlstate: c_int, message: String },
    /// Any of the above, about one part of the work, such as an element of a batch or a captured table.
    Within { part: String, error: Box<Error> },
}

impl Error {
    /// Adds the position of the element of the batch that the error is about, counted from 0.
    pub fn in_element(self, index: usize) -> Error {
        self.within(format!("events[{index}]"))
    }

    /// Adds the part of the work that the error is about.
    pub fn within(self, part: String) -> Error {
        Error::Within { part, error: Box::new(self) }
    }

    /// Returns the SQLSTATE, packed as PostgreSQL does.
    pub fn sqlstate(&self) -> c_int {
        match self {
            Error::AppendOnly { .. } | Error::Guarded { .. } => sqlstate(b"ZA001"),
            Error::NoWorkspace => sqlstate(b"ZA002"),
            Error::InvalidValue { .. } => sqlstate(b"ZA003"),
            Error::UnknownAction(_) => sqlstate(b"ZA004"),
            Error::InvalidDetails { .. } => sqlstate(b"ZA005"),
            Error::DetailsTooLarge { .. } => sqlstate(b"ZA006"),
            Error::InvalidElement { .. } => sqlstate(b"ZA007"),
            Error::TimeOutOfRange { .. } => sqlstate(b"ZA009"),
            Error::EventTooLarge { .. } => sqlstate(b"ZA006"),
            Error::NoSealer { .. } => sqlstate(b"ZA018"),
            Error::QueueFull { .. } => sqlstate(b"ZA019"),
            Error::Unconfirmed { .. } => sqlstate(b"ZA020"),
            Error::ReservedAction { .. } => sqlstate(b"42501"),
            Error::NotGranted(_) | Error::Restricted => sqlstate(b"42501"),
            Error::NoInner(_) => sqlstate(b"42883"),
            Error::NotInstalled(_) => sqlstate(b"42P01"),
            Error::NoPartition(_) => sqlstate(b"55000"),
            Error::OldSnapshot => sqlstate(b"25000"),
            Error::NoSetExpected => sqlstate(b"0A000"),
            Error::DamagedLog { .. } => sqlstate(b"XX001"),
            Error::Value { sqlstate, .. } => *sqlstate,
            Error::Within { error, .. } => error.sqlstate(),
        }
    }

    /// Returns the message without the hint.
    pub fn message(&self) -> String {
        match self {
            Error::AppendOnly { what } => format!("{what} is refused: the audit log is append-only"),
            Error::Guarded { what } => format!("{what} is refused: the guard of the audit log is closed"),
            Error::NoWorkspace => "no workspace given".into(),
            Error::InvalidValue { name, problem, .. } => format!("{name} {problem}"),
            Error::UnknownAction(action) => format!("action \"{action}\" is not in the catalog"),
            Error::InvalidDetails { action, problem } => {
                format!("details of action \"{action}\" {problem}")
            }
            Error::DetailsTooLarge { bytes, limit } => {
                format!("details have {bytes} bytes, more than the limit of {limit}")
            }
            Error::InvalidElement { problem } => problem.clone(),
            Error::TimeOutOfRange { problem } => problem.clone(),
            Error::EventTooLarge { bytes, limit } => {
                format!("the event has {bytes} bytes, and the queue of autonomous appends takes {limit}")
            }
            Error::NoSealer { problem, .. } => format!("the event is not stored: {problem}"),
            Error::QueueFull { bytes, free } => format!(
                "the event is not stored: it has {bytes} bytes, and the queue of autonomous appends has {free} bytes free"
            ),
            Error::Unconfirmed { seconds } => {
                format!("the sealer has not confirmed within {seconds} s that the event is stored")
            }
            Error::ReservedAction { action, .. } => {
                format!("action \"{action}\" is reserved for the audit log")
            }
            Error::Restricted => {
                "no event is appended within ANALYZE, REINDEX, REFRESH or another maintenance command of a table".into()
            }
            Error::NotGranted(workspace) => format!("permission denied for workspace \"{workspace}\""),
            Error::NoInner(oid) => format!("the function with OID {oid} has no counterpart in schema audit_internal"),
            Error::NotInstalled(relation) => format!("relation {relation} does not exist"),
            Error::NoPartition(name) => format!("relation {name} is not a partition of audit.event"),
            Error::OldSnapshot => "events cannot be changed in a REPEATABLE READ or SERIALIZABLE transaction".into(),
            Error::NoSetExpected => "set-returning function called in a context that does not accept a set".into(),
            Error::DamagedLog { problem } => problem.clone(),
            Error::Value { message, .. } => message.clone(),
            Error::Within { part, error } => format!("{part}: {}", error.message()),
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Error::AppendOnly { .. } => {
                Some("Append a correcting event instead. Events are removed only when their retention ends.")
            }
            Error::Guarded { .. } => Some(
                "Only the functions of schema audit change the audit log. In an emergency, a superuser can open the guard with audit.open_guard(reason, minutes).",
            ),
            Error::NoWorkspace => {
                Some("Pass workspace => '…', or call audit.context(workspace => '…') once per request.")
            }
            Error::InvalidValue { hint, .. } => Some(hint),
            Error::UnknownAction(_) => {
                Some("Register the action with audit.register_action, or set audit.unknown_actions to accept.")
            }
            Error::InvalidDetails { .. } => {
                Some("Run SELECT * FROM audit.action JOIN audit.category USING (category) to see what is required.")
            }
            Error::DetailsTooLarge { .. } => Some("Shorten the details, or raise audit.max_details_size."),
            Error::InvalidElement { .. } => {
                Some("Pass a JSON array of objects. Their keys are the arguments of audit.append.")
            }
            Error::TimeOutOfRange { .. } => {
                Some("Import only events that have happened and are within the retention of their workspace.")
            }
            Error::EventTooLarge { .. } => {
                Some("Shorten the details, or raise audit.autonomous_queue and restart the server.")
            }
            Error::NoSealer { hint, .. } => Some(hint),
            Error::QueueFull { .. } => {
                Some("Try again. If this happens often, raise audit.autonomous_queue and restart the server.")
            }
            Error::Unconfirmed { .. } => Some(
                "The event may be stored now or later. Try again with the same idempotency_key, so that it is stored once.",
            ),
            Error::ReservedAction { is_own: true, .. } => {
                Some("Choose another action. Only the functions of the extension append this one.")
            }
            Error::ReservedAction { is_own: false, .. } => Some(
                "Choose another action. Only a member of audit_admin, audit_server or audit_signer may append this one.",
            ),
            Error::Restricted => {
                Some("Do not append in functions of an index, a statistics object or a materialized view.")
            }
            Error::NotGranted(_) => Some(
                "Your role has the workspaces that audit.granted_workspaces() lists. A member of audit_admin can call audit.grant_workspace.",
            ),
            Error::NoInner(_) => Some("Create the extension again, or restore the database from a backup."),
            Error::NotInstalled(_) => Some("Run CREATE EXTENSION audit_log."),
            Error::NoPartition(_) => Some("Attach the table to audit.event again, or rename it."),
            Error::OldSnapshot => Some("Use a READ COMMITTED transaction."),
            Error::NoSetExpected => Some("Call the function in the FROM clause of a query."),
            Error::DamagedLog { .. } => Some("Run audit.verify to list the damage."),
            Error::Value { .. } => None,
            Error::Within { error, .. } => error.hint(),
        }
    }
}

/// An error in PostgreSQL's memory. It owns nothing that needs dropping when the raise jumps out of the Rust frames.
pub struct Report {
    sqlstate: c_int,
    message: *mut std::ffi::c_char,
    hint: *mut std::ffi::c_char,
}

impl Report {
    /// Copies the error into the current memory context.
    pub fn new(error: &Error) -> Report {
        Report {
            sqlstate: error.sqlstate(),
            message: to_c_string(&error.message()),
            hint: error.hint().map_or(std::ptr::null_mut(), to_c_string),
        }
    }

    /// Raises the error. pgrx's report can carry only the SQLSTATEs of PostgreSQL, so this function calls PostgreSQL
    /// directly.
    ///
    /// # Safety
    /// Must be called on the main thread of a backend. No frame between here and the caller in PostgreSQL may own
    /// anything that needs dropping, because the call leaves by longjmp.
    pub unsafe fn raise(self) -> ! {
        const FORMAT: &std::ffi::CStr = c"%s";
        // SAFETY: makes the same sequence of calls that ereport(ERROR) expands to. The strings are palloc'd and live
        // on.
        unsafe {
            errstart(pgrx::PgLogLevel::ERROR as c_int, std::ptr::null());
            errcode(self.sqlstate);
            errmsg(FORMAT.as_ptr(), self.message);
            if !self.hint.is_null() {
                errhint(FORMAT.as_ptr(), self.hint);
            }
            errfinish(c"audit_log".as_ptr(), 0, std::ptr::null());
        }
        unreachable!("errfinish does not return from an ERROR")
    }
}

unsafe extern "C-unwind" {
    fn errstart(elevel: c_int, domain: *const std::ffi::c_char) -> bool;
    fn errcode(sqlerrcode: c_int) -> c_int;
    fn errmsg(fmt: *const std::ffi::c_char, ...) -> c_int;
    fn errhint(fmt: *const std::ffi::c_char, ...) -> c_int;
    fn errfinish(filename: *const std::ffi::c_char, lineno: c_int, funcname: *const std::ffi::c_char);
}

/// Packs a SQLSTATE into an integer as PostgreSQL does, with six bits for each character (`MAKE_SQLSTATE` in
/// `utils/elog.h`).
const fn sqlstate(code: &[u8; 5]) -> c_int {
    let mut packed = 0;
    let mut i = 0;
    while i < 5 {
        packed |= (((code[i] - b'0') & 0x3F) as c_int) << (6 * i);
        i += 1;
    }
    packed
}

fn to_c_string(text: &str) -> *mut std::ffi::c_char {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    // SAFETY: palloc returns end + 1 writable bytes or raises.
    unsafe {
        let copy: *mut u8 = pg_sys::palloc(end + 1).cast();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy, end);
        *copy.add(end) = 0;
        copy.cast()
    }
}
