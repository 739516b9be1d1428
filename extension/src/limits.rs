//! Limits and defaults, each once. SQL asks for them through functions of the library.

/// How long a value of an event may be.
pub struct Limit {
    /// The name of the value, as errors give it.
    pub name: &'static str,
    /// The most bytes that it may have.
    pub bytes: usize,
}

/// The action of an event.
pub const ACTION: Limit = Limit { name: "action", bytes: 200 };
/// The workspace of an event.
pub const WORKSPACE: Limit = Limit { name: "workspace", bytes: 200 };
/// The actor of an event.
pub const ACTOR: Limit = Limit { name: "actor", bytes: 1000 };
/// One target of an event.
pub const TARGET: Limit = Limit { name: "target", bytes: 1000 };
/// The session of the actor.
pub const SESSION_ID: Limit = Limit { name: "session_id", bytes: 1000 };
/// The request that an event came from.
pub const REQUEST_ID: Limit = Limit { name: "request_id", bytes: 1000 };
/// The key under which an event is stored once.
pub const IDEMPOTENCY_KEY: Limit = Limit { name: "idempotency_key", bytes: 1000 };
/// The user agent of the actor.
pub const USER_AGENT: Limit = Limit { name: "user_agent", bytes: 4000 };

/// The most targets that one event may have.
pub const TARGETS: usize = 1000;

/// How long events are kept in a workspace without a retention of its own, in months.
pub const DEFAULT_RETENTION_MONTHS: i32 = 13;
