//! What it means that the kernel refused a route or an address.

use std::io;

use crate::error::{Error, GRANT_NET_ADMIN};

/// Whether it was refused because it is there already.
pub(super) fn is_there(cause: &io::Error) -> bool {
    cause.raw_os_error() == Some(libc::EEXIST)
}

/// Whether a route was refused because its device is down.
pub(super) fn is_down(cause: &io::Error) -> bool {
    cause.raw_os_error() == Some(libc::ENETDOWN)
}

/// What whoever dials is told of it.
pub(super) fn refused(cause: io::Error) -> Error {
    not_changed(
        "to keep the way to the first hop outside the tunnel".into(),
        cause,
    )
}

/// What whoever changes routes is told of it.
pub(super) fn not_changed(what: String, cause: io::Error) -> Error {
    match cause.raw_os_error() {
        Some(libc::EPERM) => Error::TunPermission {
            what,
            cure: GRANT_NET_ADMIN,
            cause,
        },
        _ => Error::Route { what, cause },
    }
}
