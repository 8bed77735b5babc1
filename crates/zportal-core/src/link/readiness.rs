//! The one place where descriptors are given to tokio's reactor, which takes it on trust that a
//! descriptor stays open and the same for as long as it is watched.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor and owns it; needs a tokio runtime to be current.
pub(super) fn watch_owned(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and always the same descriptor until it is dropped, and the
    // AsyncFd takes it out of the reactor before that.
    let watched = unsafe { AsyncFd::register_with_interest(fd, interest) };
    Ok(watched?)
}

/// Watches a descriptor that somebody else owns and that cannot go away meanwhile.
pub(super) fn watch_borrowed(
    fd: BorrowedFd<'_>,
    interest: Interest,
) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    // SAFETY: the borrow keeps the descriptor open and the same for as long as the AsyncFd lives.
    let watched = unsafe { AsyncFd::register_with_interest(fd, interest) };
    Ok(watched?)
}
