//! Detects the times at which the machine itself stands still.
//!
//! A virtual machine can lose a processor to its neighbours for a second, and no append proceeds meanwhile. A thread
//! per processor, with the highest priority, sleeps and measures how late it wakes.

use std::fs;
use std::ops::Range;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::program::ran;
use crate::threads::joined;

const SLEEP: Duration = Duration::from_millis(2);

/// A shorter delay is the normal cost of waking.
const LATE: Duration = Duration::from_millis(1);

/// Returns the times at which a processor stood still, ascending and disjoint. Returns None if this account may not
/// run such threads.
pub fn watch(is_over: impl Fn() -> bool + Sync) -> Result<Option<Vec<Range<Instant>>>> {
    let processors = thread::available_parallelism()?.get();
    let is_over = &is_over;
    let of_each: Result<Option<Vec<_>>> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..processors).map(|processor| scope.spawn(move || watch_one(processor, is_over))).collect();
        threads.into_iter().map(joined).collect()
    });
    Ok(of_each?.map(|pauses| merged(pauses.concat())))
}

/// Returns the length of `time` without the pauses.
pub fn less(pauses: &[Range<Instant>], time: &Range<Instant>) -> Duration {
    time.end - time.start - within(pauses, time)
}

/// Returns how much of `time` the machine stood still.
pub fn within(pauses: &[Range<Instant>], time: &Range<Instant>) -> Duration {
    let first = pauses.partition_point(|pause| pause.end <= time.start);
    pauses[first..]
        .iter()
        .take_while(|pause| pause.start < time.end)
        .map(|pause| pause.end.min(time.end) - pause.start.max(time.start))
        .sum()
}

fn watch_one(processor: usize, is_over: impl Fn() -> bool) -> Result<Option<Vec<Range<Instant>>>> {
    let own = fs::read_link("/proc/thread-self")?;
    let own = own.file_name().and_then(|name| name.to_str()).context("/proc does not name this thread")?;
    ran(Command::new("taskset").args(["-p", "-c", &processor.to_string(), own]))?;
    if ran(Command::new("chrt").args(["--fifo", "-p", "1", own])).is_err() {
        return Ok(None);
    }
    let mut pauses = Vec::new();
    while !is_over() {
        let due = Instant::now() + SLEEP;
        thread::sleep(SLEEP);
        let woke = Instant::now();
        if woke > due + LATE {
            pauses.push(due..woke);
        }
    }
    Ok(Some(pauses))
}

fn merged(mut pauses: Vec<Range<Instant>>) -> Vec<Range<Instant>> {
    pauses.sort_by_key(|pause| pause.start);
    let mut merged: Vec<Range<Instant>> = Vec::new();
    for pause in pauses {
        match merged.last_mut() {
            Some(last) if pause.start <= last.end => last.end = last.end.max(pause.end),
            _ => merged.push(pause),
        }
    }
    merged
}
