//! A lock that a thread left in panic is taken all the same: nothing that is under one of ours is ever
//! half changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the lock.
pub fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
