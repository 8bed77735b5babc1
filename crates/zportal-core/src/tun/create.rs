//! Creating the device, and what keeps it from being created. A device that was there before is never
//! taken over: it would keep what the tunnel sets, routes into nowhere among it, after the tunnel's end.

use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::configure;
use crate::error::{Error, GRANT_NET_ADMIN};

/// A new device and the name that the kernel gave it.
pub(super) fn create(name: &str) -> Result<(OwnedFd, String), Error> {
    // A persistent TUN that nobody uses would let us in. It is not tried: merely to attach gives the
    // device a carrier, and with it an address.
    if configure::exists(name) {
        let cause = io::Error::from_raw_os_error(libc::EEXIST);
        return Err(name_taken(name, cause));
    }
    let mut configuration = tun::Configuration::default();
    configuration.tun_name(name).platform_config(|platform| {
        // Addresses, MTU and link state are set by netlink, IPv6 included; the crate knows only IPv4.
        platform.ensure_root_privileges(false).vnet_hdr(true);
    });
    let device = match tun::create(&configuration) {
        Ok(device) => device,
        Err(tun::Error::Io(cause)) => return Err(refused(name, cause)),
        Err(other) => return Err(Error::Option(format!("device name {name:?}: {other}"))),
    };
    let name = tun::AbstractDevice::tun_name(&device).map_err(|error| Error::TunIo {
        name: name.to_owned(),
        what: "read its name",
        cause: io::Error::other(error),
    })?;
    // SAFETY: the device gives its descriptor away and is gone.
    let descriptor = unsafe { OwnedFd::from_raw_fd(device.into_raw_fd()) };
    Ok((descriptor, name))
}

fn refused(name: &str, cause: io::Error) -> Error {
    match cause.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => Error::TunMissing(cause),
        Some(libc::EPERM | libc::EACCES) => Error::TunPermission {
            what: format!("create the network device {name}"),
            cure: cure_of_refusal(may_open()),
            cause,
        },
        // Somebody was faster.
        Some(libc::EBUSY | libc::EEXIST) => name_taken(name, cause),
        _ => Error::TunIo {
            name: name.to_owned(),
            what: "create it",
            cause,
        },
    }
}

/// The crate does not say which of its two steps was refused: opening the file, or making a device
/// through it. So the file is asked once more.
fn may_open() -> bool {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::open("/dev/net/tun", flags, Mode::empty()).is_ok()
}

fn cure_of_refusal(may_open: bool) -> &'static str {
    if may_open {
        GRANT_NET_ADMIN
    } else {
        "/dev/net/tun may not be opened: chmod 666 /dev/net/tun; in a container \
         --device /dev/net/tun, in a service DeviceAllow=/dev/net/tun rw"
    }
}

fn name_taken(name: &str, cause: io::Error) -> Error {
    Error::TunNameTaken {
        name: name.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::cure_of_refusal;

    #[test]
    fn a_file_that_may_not_be_opened_is_no_missing_capability() {
        assert!(cure_of_refusal(true).contains("CAP_NET_ADMIN"));
        assert!(cure_of_refusal(false).contains("chmod 666 /dev/net/tun"));
        assert!(!cure_of_refusal(false).contains("CAP_NET_ADMIN"));
    }
}
