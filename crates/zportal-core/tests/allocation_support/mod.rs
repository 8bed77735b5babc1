//! An allocator that counts, for tests that promise none.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// To be a test's global allocator; that test is to be the only one in its process.
pub struct Counting;

/// What was allocated by threads that count.
pub static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread counts; all do at first.
    pub static COUNTED: Cell<bool> = const { Cell::new(true) };
    /// What this thread allocated. The test runner has a thread too, which allocates when it likes.
    pub static ALLOCATIONS_HERE: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTED.try_with(Cell::get).unwrap_or(false) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        let _ = ALLOCATIONS_HERE.try_with(|here| here.set(here.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}
