//! The queue of events that are to be stored, in the order in which their callers put them there.

use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgLwLock, PgLwLockExclusiveGuard, pg_shmem_init};

use crate::autonomous::memory::{self, BLOCK, Entry, Memory, NONE, State, Taker, blocks_for, checksum, wake};
use crate::pg::error::Error;

/// The maximum number of events that a sealer takes at once.
const BATCH: usize = 1000;

/// The size of the events, in bytes, from which a sealer takes no more at once.
const BATCH_BYTES: usize = 16 << 20;

/// The part of the queue that the events of refused attempts may fill. Nobody may keep `audit.append_autonomous` from its work by
/// attempts.
const REFUSALS_PART: usize = 4;

/// The process id that stands for no caller.
const NOBODY: i32 = 0;

/// Reserves the memory. The server must be loading its preloaded libraries. `size` is in bytes.
pub fn reserve(size: usize, workers: usize) {
    memory::reserve(size, workers);
    pg_shmem_init!(LISTS);
}

/// Returns whether the queue exists, which needs preloading.
pub fn is_reserved() -> bool {
    memory::get().is_some()
}

/// An event that a sealer has taken.
pub struct Taken {
    number: u32,
    /// The event, as `Event::to_bytes` has written it.
    pub event: Vec<u8>,
    /// The id with which an earlier attempt may have stored the event.
    pub id: Option<i64>,
}

/// The answer to a caller.
pub enum Answer {
    /// The event is stored with this id.
    Stored(i64),
    /// The event is not stored.
    Failed { sqlstate: i32, message: String },
}

/// Puts an event of this database into the queue, and wakes the sealer. Returns the number of its entry.
///
/// # Errors
/// `ZA006` if the event is larger than the queue, and `ZA019` if the queue has no room for it.
pub fn put(database: u32, event: &[u8]) -> Result<u32, Error> {
    // SAFETY: reads a variable of the process.
    put_for(unsafe { pg_sys::MyProcPid }, database, event)
}

/// Puts an event of a refused attempt into the queue. Nobody waits for it. Such events take at most a part of the queue.
///
/// # Errors
/// As for [`put`].
pub fn put_refusal(database: u32, event: &[u8]) -> Result<(), Error> {
    put_for(NOBODY, database, event).map(|_| ())
}

fn put_for(caller: i32, database: u32, event: &[u8]) -> Result<u32, Error> {
    let mut queue = Queue::lock();
    let number = queue.put(database, caller, event)?;
    let (taker, launcher) = (queue.taker(database), queue.lists.launcher);
    drop(queue);
    if !wake(taker) {
        wake(launcher);
    }
    Ok(number)
}

/// Returns the answer to the caller, if there is one. The entry is then free.
pub fn answer(number: u32) -> Option<Answer> {
    let mut queue = Queue::lock();
    let entry = queue.entries[number as usize];
    let answer = match entry.state {
        State::Stored => Answer::Stored(entry.id),
        State::Failed => {
            let message = String::from_utf8_lossy(&queue.content(number)).into_owned();
            Answer::Failed { sqlstate: entry.sqlstate, message }
        }
        _ => return None,
    };
    queue.free(number);
    Some(answer)
}

/// Takes an event back that no sealer has taken. Returns false if one has.
pub fn withdraw(number: u32) -> bool {
    let mut queue = Queue::lock();
    let is_waiting = queue.entries[number as usize].state == State::Waiting;
    if is_waiting {
        queue.unlink(|other, _| other == number);
        queue.free(number);
    }
    is_waiting
}

/// Notes that the caller waits no longer. The event stays in the queue until it is stored.
pub fn leave(number: u32) {
    let mut queue = Queue::lock();
    match queue.entries[number as usize].state {
        State::Stored | State::Failed => queue.free(number),
        _ => queue.entries[number as usize].caller = NOBODY,
    }
}

/// Notes that this process is the launcher, which callers wake if their database has no sealer.
pub fn register_launcher() {
    // SAFETY: reads a variable of the process.
    Queue::lock().lists.launcher = unsafe { pg_sys::MyProcPid };
}

/// Notes that this process takes the events of a database. There must be one such process at a time.
pub fn register_taker(database: u32) {
    // SAFETY: reads a variable of the process.
    let process = unsafe { pg_sys::MyProcPid };
    Queue::lock().register_taker(Taker { database, process });
}

/// Returns the databases with an event whose caller waits for a sealer.
pub fn databases() -> Vec<u32> {
    let mut queue = Queue::lock();
    let mut found = Vec::new();
    queue.unlink(|_, entry| {
        if entry.caller != NOBODY && !found.contains(&entry.database) {
            found.push(entry.database);
        }
        false
    });
    found
}

/// Takes events of a database, in their order. Those that an earlier process has taken and not finished come again.
pub fn take(database: u32) -> Vec<Taken> {
    let mut queue = Queue::lock();
    let (mut numbers, mut bytes) = (Vec::new(), 0);
    queue.unlink(|number, entry| {
        if entry.database == database && numbers.len() < BATCH && bytes < BATCH_BYTES {
            entry.state = State::Writing;
            bytes += entry.length as usize;
            numbers.push(number);
        }
        false
    });
    let taken = |number: u32| {
        let Entry { id, .. } = queue.entries[number as usize];
        Taken { number, event: queue.content(number), id: (id != 0).then_some(id) }
    };
    numbers.into_iter().map(taken).collect()
}

/// Notes the ids with which taken events are about to be stored, before the transaction commits.
pub fn note_ids(taken: &[Taken], ids: &[i64]) {
    let queue = Queue::lock();
    for (taken, &id) in taken.iter().zip(ids) {
        queue.entries[taken.number as usize].id = id;
    }
}

/// Answers the callers of taken events that are stored now.
pub fn finish(taken: &[Taken], ids: &[i64]) {
    note_ids(taken, ids);
    close(taken, |queue, number| queue.entries[number as usize].state = State::Stored);
}

/// Answers the caller of a taken event that cannot be stored. Returns false if no caller waits.
pub fn fail(taken: &Taken, sqlstate: i32, message: &str) -> bool {
    let is_awaited = Queue::lock().entries[taken.number as usize].caller != NOBODY;
    close(std::slice::from_ref(taken), |queue, number| queue.fail(number, sqlstate, message));
    is_awaited
}

/// Removes the events of the databases for which `is_gone` returns true, and returns their number. Events whose callers wait
/// stay.
pub fn discard(is_gone: impl Fn(u32) -> bool) -> usize {
    let mut queue = Queue::lock();
    let mut numbers = Vec::new();
    queue.unlink(|number, entry| {
        let is_discarded = entry.caller == NOBODY && is_gone(entry.database);
        if is_discarded {
            numbers.push(number);
        }
        is_discarded
    });
    for &number in &numbers {
        queue.free(number);
    }
    numbers.len()
}

/// Removes taken events from the queue. Frees those whose caller does not wait, and wakes the callers of the others.
fn close(taken: &[Taken], mut set: impl FnMut(&mut Queue, u32)) {
    let mut queue = Queue::lock();
    let mut numbers: Vec<u32> = taken.iter().map(|taken| taken.number).collect();
    numbers.sort_unstable();
    queue.unlink(|number, _| numbers.binary_search(&number).is_ok());
    let mut callers = Vec::new();
    for number in numbers {
        match queue.entries[number as usize].caller {
            NOBODY => queue.free(number),
            caller => {
                set(&mut queue, number);
                callers.push(caller);
            }
        }
    }
    drop(queue);
    for caller in callers {
        wake(caller);
    }
}

/// The part of the queue that PostgreSQL empties after a crash. The queue is then put together from the entries.
#[derive(Clone, Copy, Default)]
struct Lists {
    is_ready: bool,
    /// The first free block.
    free: u32,
    free_blocks: u32,
    /// The blocks of the events of refused attempts.
    refusal_blocks: u32,
    /// The first and the last event.
    first: u32,
    last: u32,
    /// The place of the next event in the order of all.
    sequence: u64,
    /// The process id of the launcher.
    launcher: i32,
}

// SAFETY: the type holds plain numbers.
unsafe impl PGRXSharedMemory for Lists {}

// SAFETY: the name is used by no other part of the library.
static LISTS: PgLwLock<Lists> = unsafe { PgLwLock::new(c"audit_log autonomous queue") };

/// The queue, locked.
struct Queue {
    lists: PgLwLockExclusiveGuard<'static, Lists>,
    memory: Memory,
    entries: &'static mut [Entry],
    links: &'static mut [u32],
}

impl Queue {
    fn lock() -> Queue {
        let memory = memory::get().expect("the callers have checked that the queue exists");
        let lists = LISTS.exclusive();
        // SAFETY: this process holds the lock, and no function of this module locks twice.
        let (entries, links) = unsafe { (memory.entries(), memory.links()) };
        let mut queue = Queue { lists, memory, entries, links };
        if !queue.lists.is_ready {
            queue.rebuild();
        }
        queue
    }

    fn put(&mut self, database: u32, caller: i32, event: &[u8]) -> Result<u32, Error> {
        let (wanted, all) = (blocks_for(event.len()), self.entries.len());
        if wanted > all {
            return Err(Error::EventTooLarge { bytes: event.len(), limit: all * BLOCK });
        }
        let is_refusal = caller == NOBODY;
        let free = self.lists.free_blocks as usize;
        let free = if is_refusal { free.min(self.refusals_room()) } else { free };
        if wanted > free {
            return Err(Error::QueueFull { bytes: event.len(), free: free * BLOCK });
        }
        let number = self.lists.free;
        let mut last = number;
        for (at, chunk) in event.chunks(BLOCK).enumerate() {
            if at > 0 {
                last = self.links[last as usize];
            }
            // SAFETY: this process holds the lock. The number is that of a block.
            unsafe { self.memory.block(last)[..chunk.len()].copy_from_slice(chunk) };
        }
        self.lists.free = std::mem::replace(&mut self.links[last as usize], NONE);
        self.lists.free_blocks -= wanted as u32;
        if is_refusal {
            self.lists.refusal_blocks += wanted as u32;
        }
        let sequence = self.lists.sequence;
        self.lists.sequence += 1;
        self.entries[number as usize] = Entry {
            state: State::Waiting,
            database,
            caller,
            length: event.len() as u32,
            sequence,
            checksum: checksum(database, sequence, event),
            id: 0,
            next: NONE,
            sqlstate: 0,
            refusals: u32::from(is_refusal),
        };
        self.append(number);
        Ok(number)
    }

    /// Returns the number of blocks that further events of refused attempts may take.
    fn refusals_room(&self) -> usize {
        (self.entries.len() / REFUSALS_PART).saturating_sub(self.lists.refusal_blocks as usize)
    }

    fn append(&mut self, number: u32) {
        self.entries[number as usize].next = NONE;
        match std::mem::replace(&mut self.lists.last, number) {
            NONE => self.lists.first = number,
            last => self.entries[last as usize].next = number,
        }
    }

    /// Passes the events to `is_over` in their order, and removes those for which it returns true. Their blocks are not
    /// freed.
    fn unlink(&mut self, mut is_over: impl FnMut(u32, &mut Entry) -> bool) {
        let (mut previous, mut number) = (NONE, self.lists.first);
        while number != NONE {
            let entry = &mut self.entries[number as usize];
            let next = entry.next;
            if !is_over(number, entry) {
                previous = number;
            } else if previous == NONE {
                self.lists.first = next;
            } else {
                self.entries[previous as usize].next = next;
            }
            number = next;
        }
        self.lists.last = previous;
    }

    fn free(&mut self, number: u32) {
        self.entries[number as usize].state = State::Free;
        let mut last = number;
        let mut blocks = 1;
        while self.links[last as usize] != NONE {
            last = self.links[last as usize];
            blocks += 1;
        }
        self.links[last as usize] = std::mem::replace(&mut self.lists.free, number);
        self.lists.free_blocks += blocks;
        self.lists.refusal_blocks -= blocks * self.entries[number as usize].refusals;
    }

    fn content(&self, number: u32) -> Vec<u8> {
        let length = self.entries[number as usize].length as usize;
        let mut content = Vec::with_capacity(length);
        let mut block = number;
        while content.len() < length {
            let rest = (length - content.len()).min(BLOCK);
            // SAFETY: this process holds the lock. The blocks of an entry are as many as its content needs.
            content.extend_from_slice(unsafe { &self.memory.block(block)[..rest] });
            block = self.links[block as usize];
        }
        content
    }

    fn fail(&mut self, number: u32, sqlstate: i32, message: &str) {
        let length = message.len().min(BLOCK);
        // SAFETY: this process holds the lock. An entry has at least one block.
        unsafe { self.memory.block(number)[..length].copy_from_slice(&message.as_bytes()[..length]) };
        let entry = &mut self.entries[number as usize];
        *entry = Entry { state: State::Failed, length: length as u32, sqlstate, ..*entry };
    }

    fn taker(&self, database: u32) -> i32 {
        // SAFETY: this process holds the lock, and no other slice of the takers.
        let takers = unsafe { self.memory.takers() };
        takers.iter().find(|taker| taker.database == database).map_or(0, |taker| taker.process)
    }

    fn register_taker(&mut self, new: Taker) {
        // SAFETY: this process holds the lock, and no other slice of the takers.
        let takers = unsafe { self.memory.takers() };
        let place = takers.iter().position(|taker| taker.database == new.database).or_else(|| {
            // SAFETY: looks the process up in shared memory. The result is only compared.
            takers
                .iter()
                .position(|taker| taker.process == 0 || unsafe { pg_sys::BackendPidGetProc(taker.process) }.is_null())
        });
        // There are as many places as worker processes.
        takers[place.expect("a worker of this server has a place")] = new;
    }

    /// Puts the queue together from the entries, at the start of the server and after a crash. Nobody waits any more. A
    /// process may have ended within any function of this module.
    fn rebuild(&mut self) {
        let mut is_used = vec![false; self.entries.len()];
        let mut kept = Vec::new();
        for number in 0..self.entries.len() as u32 {
            if self.is_whole(number, &mut is_used) {
                kept.push(number);
            } else {
                self.entries[number as usize].state = State::Free;
            }
        }
        kept.sort_by_key(|&number| self.entries[number as usize].sequence);
        let sequence = kept.last().map_or(0, |&number| self.entries[number as usize].sequence + 1);
        *self.lists = Lists { is_ready: true, free: NONE, first: NONE, last: NONE, sequence, ..Lists::default() };
        for &number in &kept {
            let entry = &mut self.entries[number as usize];
            let refusals = entry.refusals.min(1);
            *entry = Entry { state: State::Waiting, caller: NOBODY, refusals, ..*entry };
            self.lists.refusal_blocks += refusals * blocks_for(entry.length as usize) as u32;
            self.append(number);
        }
        for block in (0..self.entries.len()).rev().filter(|&block| !is_used[block]) {
            self.links[block] = std::mem::replace(&mut self.lists.free, block as u32);
            self.lists.free_blocks += 1;
        }
        if !kept.is_empty() {
            log!("audit_log: {} autonomous events have survived a crash and will be stored", kept.len());
        }
    }

    /// Returns whether an entry holds a whole event that is not stored. Marks its blocks as used.
    fn is_whole(&self, number: u32, is_used: &mut [bool]) -> bool {
        let entry = self.entries[number as usize];
        if !matches!(entry.state, State::Waiting | State::Writing) || entry.length as usize > self.entries.len() * BLOCK
        {
            return false;
        }
        let mut blocks = Vec::new();
        let mut block = number;
        for _ in 0..blocks_for(entry.length as usize) {
            if block as usize >= is_used.len() || is_used[block as usize] || blocks.contains(&block) {
                return false;
            }
            blocks.push(block);
            block = self.links[block as usize];
        }
        let is_whole =
            block == NONE && checksum(entry.database, entry.sequence, &self.content(number)) == entry.checksum;
        if is_whole {
            blocks.into_iter().for_each(|block| is_used[block as usize] = true);
        }
        is_whole
    }
}
