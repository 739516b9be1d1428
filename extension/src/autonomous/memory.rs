//! The memory of the queue. The postmaster maps it before it starts any process, so that all processes share it.
//!
//! It is not part of PostgreSQL's shared memory, which the postmaster empties after the crash of a process. An event that
//! is in the queue then survives.

use std::hash::Hasher;
use std::ptr::NonNull;
use std::slice;
use std::sync::OnceLock;

use pgrx::pg_sys;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// The size of a block, in bytes.
pub const BLOCK: usize = 1024;

/// The number that stands for no block and for no event.
pub const NONE: u32 = u32::MAX;

/// The state of an entry.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The entry is not used.
    Free = 0,
    /// The event waits for a sealer.
    Waiting,
    /// A sealer stores the event.
    Writing,
    /// The event is stored. The caller has yet to read its id.
    Stored,
    /// The event could not be stored. The caller has yet to read the message, which has replaced the event.
    Failed,
}

/// An event in the queue. The number of an entry is that of its first block.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Entry {
    /// The state.
    pub state: State,
    /// The OID of the database.
    pub database: u32,
    /// The process id of the caller that waits, or 0.
    pub caller: i32,
    /// The size of the content, in bytes.
    pub length: u32,
    /// The place of the event in the order of all.
    pub sequence: u64,
    /// The checksum of the event.
    pub checksum: u64,
    /// The id with which a sealer has tried to store the event, or 0.
    pub id: i64,
    /// The next event in the queue.
    pub next: u32,
    /// The SQLSTATE of a failure.
    pub sqlstate: i32,
    /// 1 if the event is one of a refused attempt, or else 0.
    pub refusals: u32,
}

/// A process that takes events of a database from the queue.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Taker {
    /// The OID of the database, or 0.
    pub database: u32,
    /// The process id.
    pub process: i32,
}

/// The mapped memory. Only the holder of the lock of the queue may use it.
#[derive(Clone, Copy)]
pub struct Memory {
    start: NonNull<u8>,
    /// The number of blocks.
    pub blocks: u32,
    takers: usize,
}

// SAFETY: the mapping lasts as long as the process. The lock of the queue orders the accesses.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

static MEMORY: OnceLock<Memory> = OnceLock::new();

/// Maps memory for events of `size` bytes in all, and for `takers` processes. Must be called in the postmaster.
pub fn reserve(size: usize, takers: usize) {
    let blocks = size / BLOCK;
    let total = takers * size_of::<Taker>() + blocks * (size_of::<Entry>() + size_of::<u32>() + BLOCK);
    // SAFETY: asks for new memory at an address that no other part of the process uses.
    let start =
        unsafe { mmap_anonymous(std::ptr::null_mut(), total, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED) };
    let start = start.unwrap_or_else(|problem| {
        pgrx::error!("audit_log: cannot map {total} bytes for audit.autonomous_queue: {problem}")
    });
    let start = NonNull::new(start.cast()).expect("a mapping is not at address 0");
    MEMORY.get_or_init(|| Memory { start, blocks: blocks as u32, takers });
}

/// Returns the memory. Returns None if the library is not preloaded.
pub fn get() -> Option<Memory> {
    MEMORY.get().copied()
}

impl Memory {
    /// Returns the entries, by the number of their first block.
    ///
    /// # Safety
    /// The caller must hold the lock of the queue, and no other slice of the entries.
    pub unsafe fn entries<'a>(self) -> &'a mut [Entry] {
        // SAFETY: the part begins behind the takers and is as long as reserve() has made it. All of its bits are zero at
        // first, which is a free entry. The caller promises that nobody else uses it.
        unsafe { slice::from_raw_parts_mut(self.start.add(self.entries_at()).cast().as_ptr(), self.blocks as usize) }
    }

    /// Returns, for each block, the next one: of the same event, or of the free blocks.
    ///
    /// # Safety
    /// The caller must hold the lock of the queue, and no other slice of the links.
    pub unsafe fn links<'a>(self) -> &'a mut [u32] {
        // SAFETY: as in entries().
        unsafe { slice::from_raw_parts_mut(self.start.add(self.links_at()).cast().as_ptr(), self.blocks as usize) }
    }

    /// Returns the processes that take events.
    ///
    /// # Safety
    /// The caller must hold the lock of the queue, and no other slice of the takers.
    pub unsafe fn takers<'a>(self) -> &'a mut [Taker] {
        // SAFETY: as in entries(). The part begins at the start of a page.
        unsafe { slice::from_raw_parts_mut(self.start.cast().as_ptr(), self.takers) }
    }

    /// Returns the bytes of a block.
    ///
    /// # Safety
    /// The caller must hold the lock of the queue, and no other slice of the block. `block` must be less than `blocks`.
    pub unsafe fn block<'a>(self, block: u32) -> &'a mut [u8] {
        // SAFETY: as in entries(). The caller promises that the block exists.
        unsafe {
            let at = self.links_at() + self.blocks as usize * size_of::<u32>() + block as usize * BLOCK;
            slice::from_raw_parts_mut(self.start.add(at).as_ptr(), BLOCK)
        }
    }

    fn entries_at(self) -> usize {
        self.takers * size_of::<Taker>()
    }

    fn links_at(self) -> usize {
        self.entries_at() + self.blocks as usize * size_of::<Entry>()
    }
}

/// Returns the checksum of an event in the queue. After a crash, it tells a whole event from a part.
pub fn checksum(database: u32, sequence: u64, event: &[u8]) -> u64 {
    // The hasher of the standard library has fixed keys, so all processes agree.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write_u32(database);
    hasher.write_u64(sequence);
    hasher.write(event);
    hasher.finish()
}

/// Returns the number of blocks for a content of that many bytes.
pub fn blocks_for(length: usize) -> usize {
    length.div_ceil(BLOCK).max(1)
}

/// Sets the latch of a process. Returns false if the process has ended.
pub fn wake(process: i32) -> bool {
    // SAFETY: looks the process up in shared memory. Its structure stays there for as long as the server runs. If another
    // process has taken it over meanwhile, its latch is set in vain, for which every process is prepared.
    unsafe {
        let found = if process == 0 { std::ptr::null_mut() } else { pg_sys::BackendPidGetProc(process) };
        if !found.is_null() {
            pg_sys::SetLatch(&raw mut (*found).procLatch);
        }
        !found.is_null()
    }
}
