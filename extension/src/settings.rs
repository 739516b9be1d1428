//! The settings (GUCs). Only this module reads a `GucSetting`.
//!
//! The prefix `audit.` is not reserved. Other tools use it, too, for settings such as `audit.user_id`.

pub mod context;

use std::ffi::{CString, c_char, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pgrx::pg_sys;

use crate::limits;

/// The handling of an action that the catalog does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum UnknownActions {
    /// The event is stored in category `other`.
    #[name = c"accept"]
    Accept,
    /// The append fails with SQLSTATE `ZA004`.
    #[name = c"reject"]
    Reject,
}

/// Whether a superuser can open the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum Guard {
    /// `audit.open_guard` opens it.
    #[name = c"on"]
    On,
    /// Nothing opens it until the setting is changed and the server is restarted.
    #[name = c"locked"]
    Locked,
}

type Text = GucSetting<Option<CString>>;

static UNKNOWN_ACTIONS: GucSetting<UnknownActions> = GucSetting::<UnknownActions>::new(UnknownActions::Accept);
static MASKED_KEYS: Text = Text::new(Some(audit_masking::DEFAULT_KEYS));
static UNMASKED_KEYS: Text = Text::new(Some(c""));
static MAX_DETAILS_SIZE: GucSetting<i32> = GucSetting::<i32>::new(32 * 1024);
static DIRECT_INSERT: GucSetting<bool> = GucSetting::<bool>::new(true);
static REQUIRE_ARCHIVE: GucSetting<bool> = GucSetting::<bool>::new(false);
static MAX_CLOCK_STEP: GucSetting<i32> = GucSetting::<i32>::new(limits::MAX_CLOCK_STEP);
static GUARD: GucSetting<Guard> = GucSetting::<Guard>::new(Guard::On);
static SEAL_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(1000);
static MAX_SEALERS: GucSetting<i32> = GucSetting::<i32>::new(limits::MAX_SEALERS);
static AUTONOMOUS_QUEUE: GucSetting<i32> = GucSetting::<i32>::new(8 * 1024);
static AUTONOMOUS_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static MAINTENANCE_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(60);

/// Returns the value of `audit.unknown_actions`.
pub fn unknown_actions() -> UnknownActions {
    UNKNOWN_ACTIONS.get()
}

/// The number of changes of the two lists of keys. A list is long, and an append must not read it each time.
static LIST_CHANGES: AtomicU64 = AtomicU64::new(1);

/// Counts a change. PostgreSQL calls it just before it assigns the value.
unsafe extern "C-unwind" fn lists_change(_: *const c_char, _: *mut c_void) {
    LIST_CHANGES.fetch_add(1, Ordering::Relaxed);
}

/// Returns a number above 0 that changes with `audit.masked_keys` and `audit.unmasked_keys`.
pub fn list_changes() -> u64 {
    LIST_CHANGES.load(Ordering::Relaxed)
}

/// Returns the value of `audit.masked_keys` as it was written.
pub fn masked_keys() -> String {
    text(&MASKED_KEYS).unwrap_or_default()
}

/// Returns the value of `audit.unmasked_keys` as it was written.
pub fn unmasked_keys() -> String {
    text(&UNMASKED_KEYS).unwrap_or_default()
}

/// Returns the value of `audit.max_details_size`, in bytes.
pub fn max_details_size() -> usize {
    MAX_DETAILS_SIZE.get() as usize * 1024
}

/// Returns the value of `audit.direct_insert`.
pub fn direct_insert() -> bool {
    DIRECT_INSERT.get()
}

/// Returns the value of `audit.max_clock_step`. Returns None if the clock is not checked.
pub fn max_clock_step() -> Option<Duration> {
    u64::try_from(MAX_CLOCK_STEP.get())
        .ok()
        .filter(|&minutes| minutes > 0)
        .map(|minutes| Duration::from_secs(60 * minutes))
}

/// Returns the value of `audit.guard`.
pub fn guard() -> Guard {
    GUARD.get()
}

/// Returns the value of `audit.seal_interval`. Returns None if the sealer is turned off.
pub fn seal_interval() -> Option<Duration> {
    u64::try_from(SEAL_INTERVAL.get()).ok().filter(|&millis| millis > 0).map(Duration::from_millis)
}

/// Returns the value of `audit.max_sealers`.
pub fn max_sealers() -> usize {
    MAX_SEALERS.get() as usize
}

/// Returns the value of `audit.autonomous_queue`, in bytes.
pub fn autonomous_queue() -> usize {
    AUTONOMOUS_QUEUE.get() as usize * 1024
}

/// Returns the value of `audit.autonomous_timeout`.
pub fn autonomous_timeout() -> Duration {
    Duration::from_millis(AUTONOMOUS_TIMEOUT.get() as u64)
}

/// Returns the value of `audit.maintenance_interval`. Returns None if the worker is turned off.
pub fn maintenance_interval() -> Option<Duration> {
    u64::try_from(MAINTENANCE_INTERVAL.get()).ok().filter(|&seconds| seconds > 0).map(Duration::from_secs)
}

/// Defines the settings that only a start of the server can change. The server must be loading its preloaded libraries.
pub fn define_for_start() {
    GucRegistry::define_enum_guc(
        c"audit.guard",
        c"Sets whether a superuser can open the guard.",
        c"on lets audit.open_guard open it for some minutes. locked refuses this. Without preloading, the setting does not exist.",
        &GUARD,
        GucContext::Postmaster,
        GucFlags::default(),
    );
}

/// Defines the settings. Values that were set before the library was loaded take effect.
pub fn define() {
    context::define();
    GucRegistry::define_enum_guc(
        c"audit.unknown_actions",
        c"Sets how an action that is not in the catalog is handled.",
        c"accept stores the event in category other. reject refuses it with SQLSTATE ZA004.",
        &UNKNOWN_ACTIONS,
        GucContext::Suset,
        GucFlags::default(),
    );
    // SAFETY: the hook cannot panic.
    let define_list = |name, what, how, setting| unsafe {
        GucRegistry::define_string_guc_with_hooks(
            name,
            what,
            how,
            setting,
            GucContext::Suset,
            GucFlags::default(),
            None,
            Some(lists_change),
            None,
        );
    };
    define_list(
        c"audit.masked_keys",
        c"Sets the keys of details whose values are masked before they are stored.",
        c"Separate the keys by commas. A * at either end matches any text. Case, _ and - are ignored. An empty list turns masking off.",
        &MASKED_KEYS,
    );
    define_list(
        c"audit.unmasked_keys",
        c"Sets the keys of details whose values are stored as they are.",
        c"The list is written like audit.masked_keys, and takes precedence over it.",
        &UNMASKED_KEYS,
    );
    GucRegistry::define_int_guc(
        c"audit.max_details_size",
        c"Sets the maximum size of the details of an event.",
        c"Larger details are refused with SQLSTATE ZA006.",
        &MAX_DETAILS_SIZE,
        1,
        256 * 1024,
        GucContext::Suset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_bool_guc(
        c"audit.direct_insert",
        c"Inserts events directly into their partition.",
        c"If off, or if a partition has insert triggers, an ordinary INSERT is used. It is slower and stores the same rows.",
        &DIRECT_INSERT,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"audit.require_archive",
        c"Drops a partition only if it has been archived.",
        c"audit-sidecar archive writes the archive. Until then, maintenance keeps a due partition.",
        &REQUIRE_ARCHIVE,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"audit.max_clock_step",
        c"Sets the advance of the clock between two maintenance runs up to which maintenance trusts the clock. 0 trusts it always.",
        c"If the clock advances further, maintenance removes no events until someone confirms the clock or a day has passed.",
        &MAX_CLOCK_STEP,
        0,
        10 * 366 * 24 * 60,
        GucContext::Suset,
        GucFlags::UNIT_MIN,
    );
    GucRegistry::define_int_guc(
        c"audit.seal_interval",
        c"Sets the time between two passes of the sealer in each database. 0 turns the sealer off.",
        c"The sealer runs only if shared_preload_libraries contains audit_log.",
        &SEAL_INTERVAL,
        0,
        60_000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"audit.max_sealers",
        c"Sets the maximum number of sealers that run at once in the cluster.",
        c"If more databases have the extension, they take turns. Together, the background workers take two more of max_worker_processes.",
        &MAX_SEALERS,
        1,
        pg_sys::MAX_BACKENDS as i32,
        GucContext::Sighup,
        GucFlags::default(),
    );
    // Only a server that is starting can define a setting that takes a restart. Without preloading, it has no effect.
    // SAFETY: reads a variable of the server.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        GucRegistry::define_int_guc(
            c"audit.autonomous_queue",
            c"Sets the size of the queue of audit.append_autonomous.",
            c"An append that finds no room fails with SQLSTATE ZA019.",
            &AUTONOMOUS_QUEUE,
            64,
            1024 * 1024,
            GucContext::Postmaster,
            GucFlags::UNIT_KB,
        );
    }
    GucRegistry::define_int_guc(
        c"audit.autonomous_timeout",
        c"Sets the maximum time that audit.append_autonomous waits until its event is stored.",
        c"After that time the call fails with SQLSTATE ZA018 or ZA020.",
        &AUTONOMOUS_TIMEOUT,
        1,
        3_600_000,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"audit.maintenance_interval",
        c"Sets the time between two maintenance runs in each database. 0 turns them off.",
        c"Maintenance runs only if shared_preload_libraries contains audit_log.",
        &MAINTENANCE_INTERVAL,
        0,
        86_400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
}

fn text(setting: &Text) -> Option<String> {
    setting.get().map(|value| match value.into_string() {
        Ok(text) => text,
        Err(error) => error.into_cstring().to_string_lossy().into_owned(),
    })
}
