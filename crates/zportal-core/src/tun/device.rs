//! Opening, reading and writing the device's file descriptor.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};

use super::configure;
use super::create;
use super::options::TunOptions;
use crate::error::Error;
use crate::wire::features::Features;

/// The MTU that the kernel gives a new device (`ETH_DATA_LEN`).
const KERNEL_MTU_BYTES: u16 = 1500;

/// Devices have no offsets (preadv2(2)).
const NO_OFFSET: u64 = u64::MAX;

/// An open TUN device. Dropping it removes the device.
pub struct Tun {
    descriptor: OwnedFd,
    /// Reads and writes say by themselves that they do not wait, so that the ring's may.
    may_wait: Cell<bool>,
    name: String,
    mtu_bytes: u16,
    offloads: Features,
}

/// Why one packet did not enter the kernel.
#[derive(Debug)]
pub enum Refusal {
    /// This packet only: not IP, or the device is down. The session lives.
    Packet(Errno),
    /// The device is gone; so is the tunnel.
    Gone(Error),
}

impl Tun {
    /// Creates the device, sets MTU and addresses and brings it up.
    ///
    /// Must be called on a tokio runtime (netlink is asynchronous). On failure nothing is left.
    pub async fn open(options: &TunOptions) -> Result<Tun, Error> {
        let mut tun = Tun::create(&options.name)?;
        tun.mtu_bytes = options.mtu_bytes;
        configure::configure(&tun.name, options.mtu_bytes, &options.addresses).await?;
        Ok(tun)
    }

    /// Creates the device and nothing more: it has the kernel's MTU, no address, and is not up.
    pub fn create(name: &str) -> Result<Tun, Error> {
        let (descriptor, name) = create::create(name)?;
        let mut tun = Tun::from_descriptor(descriptor, name, KERNEL_MTU_BYTES)?;
        if let Err(cause) = tun.prepare() {
            return Err(tun.failed("prepare it", cause));
        }
        Ok(tun)
    }

    /// Takes over a descriptor that keeps packets apart: a TUN opened elsewhere, or one end of a
    /// SOCK_SEQPACKET pair in a test. Each packet has a virtio_net_hdr in front.
    pub fn from_descriptor(
        descriptor: OwnedFd,
        name: String,
        mtu_bytes: u16,
    ) -> Result<Tun, Error> {
        let tun = Tun {
            descriptor,
            may_wait: Cell::new(true),
            name,
            mtu_bytes,
            offloads: Features::NONE,
        };
        match tun.set_non_blocking(false) {
            Ok(()) => Ok(tun),
            Err(errno) => Err(tun.failed("make it blocking", errno.into())),
        }
    }

    /// Whether the ring may read here, waiting for a packet if there is none. Not so on kernels
    /// before 6.4, whose TUN waits always or never: there it never waits.
    pub fn may_wait(&self) -> bool {
        self.may_wait.get()
    }

    /// From now on nothing waits for a packet here.
    pub fn never_wait(&self) -> io::Result<()> {
        self.may_wait.set(false);
        Ok(self.set_non_blocking(true)?)
    }

    fn set_non_blocking(&self, non_blocking: bool) -> Result<(), Errno> {
        let mut flags = rustix::fs::fcntl_getfl(self)?;
        flags.set(OFlags::NONBLOCK, non_blocking);
        rustix::fs::fcntl_setfl(self, flags)
    }

    /// Does what takes a flag that keeps it from waiting.
    fn without_waiting(
        &self,
        mut act: impl FnMut(ReadWriteFlags) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        if self.may_wait() {
            match act(ReadWriteFlags::NOWAIT) {
                // The flag came with Linux 6.4 (drivers/net/tun.c, FMODE_NOWAIT).
                Err(Errno::OPNOTSUPP) => self.never_wait().map_err(|_| Errno::OPNOTSUPP)?,
                done => return done,
            }
        }
        act(ReadWriteFlags::empty())
    }

    /// The kernel's name of the device.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The MTU that was set, in bytes.
    pub fn mtu_bytes(&self) -> u16 {
        self.mtu_bytes
    }

    /// Reads one packet with its virtio_net_hdr in front; `None` when there is none now. One of no
    /// bytes is lost: [`Tun::unread`].
    pub fn read(&self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        let read = self.without_waiting(|flags| {
            rustix::io::preadv2(self, &mut [IoSliceMut::new(buffer)], NO_OFFSET, flags)
        });
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(errno) => self.unread(errno.into()),
        }
    }

    /// What a failed read means: that there was no packet, that one is lost, which counts as one of no
    /// bytes, or that the device is gone.
    pub fn unread(&self, cause: io::Error) -> Result<Option<usize>, Error> {
        match Errno::from_io_error(&cause) {
            Some(Errno::AGAIN | Errno::INTR) => Ok(None),
            // The kernel had a super-packet of a kind for which a virtio_net_hdr has no words, and has
            // freed it (drivers/net/tun.c, tun_put_user). The next one is sound.
            Some(Errno::INVAL) => Ok(Some(0)),
            // EBADFD: deleted. EFAULT: being deleted at this moment (drivers/net/tun.c).
            Some(Errno::BADFD | Errno::FAULT | Errno::NODEV) => Err(self.gone()),
            _ => Err(self.failed("read", cause)),
        }
    }

    /// Writes one packet with its virtio_net_hdr in front.
    pub fn write(&self, packet: &[u8]) -> Result<(), Refusal> {
        self.write_parts(&[IoSlice::new(packet)])
    }

    /// The same for a packet that lies in several parts, the virtio_net_hdr in the first.
    pub fn write_parts(&self, parts: &[IoSlice<'_>]) -> Result<(), Refusal> {
        loop {
            let written =
                self.without_waiting(|flags| rustix::io::pwritev2(self, parts, NO_OFFSET, flags));
            return match written {
                Ok(_) => Ok(()),
                Err(Errno::INTR) => continue,
                Err(Errno::BADFD | Errno::NODEV) => Err(Refusal::Gone(self.gone())),
                Err(errno) => Err(Refusal::Packet(errno)),
            };
        }
    }

    /// Reads away what is queued in the device, at most its ring of 500 and some; counts it.
    pub fn discard_queued(&self, scratch: &mut [u8]) -> Result<u64, Error> {
        /// More than the device's own queue holds (`TUN_READQ_SIZE`, 500), so that this ends.
        const DISCARD_PACKETS_MAX: u64 = 1024;
        let mut discarded = 0;
        while discarded < DISCARD_PACKETS_MAX && self.read(scratch)?.is_some() {
            discarded += 1;
        }
        Ok(discarded)
    }

    /// The super-packets that this kernel gives and takes here; nothing in a descriptor that is
    /// no TUN.
    pub fn offloads(&self) -> Features {
        self.offloads
    }

    /// Lets the kernel hand over such super-packets and partial checksums from now on; without
    /// any, it cuts and sums every packet itself. Those in its queue are as they were before.
    pub fn set_offloads(&self, offloads: Features) -> io::Result<()> {
        if self.offloads == Features::NONE {
            return Ok(());
        }
        self.offload_ioctl(offloads)
    }

    /// `TUNSETOFFLOAD` with the `TUN_F_*` bits of `linux/if_tun.h`.
    fn offload_ioctl(&self, offloads: Features) -> io::Result<()> {
        let bits = [
            (Features::VNET, libc::TUN_F_CSUM),
            (Features::TSO4, libc::TUN_F_TSO4),
            (Features::TSO6, libc::TUN_F_TSO6),
            (Features::TSO_ECN, libc::TUN_F_TSO_ECN),
            (Features::USO4, libc::TUN_F_USO4),
            (Features::USO6, libc::TUN_F_USO6),
        ];
        // This kernel gives datagrams of both families whole, or of none. With one family agreed on
        // it gives none, and the bursts of that one are merged on the way.
        let both = Features::USO4 | Features::USO6;
        let offloads = if offloads.contains(both) {
            offloads
        } else {
            offloads.without(both)
        };
        let wanted = bits
            .iter()
            .filter(|(feature, _)| offloads.contains(*feature));
        let bits = wanted.fold(0, |bits, (_, bit)| bits | bit);
        // SAFETY: TUNSETOFFLOAD takes its bits by value; no memory is handed over.
        let result = unsafe {
            libc::ioctl(
                self.descriptor.as_raw_fd(),
                libc::TUNSETOFFLOAD,
                libc::c_ulong::from(bits),
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// The most that TUNSETOFFLOAD takes here: the kernel learnt USO in 6.2.
    fn probe_offloads(&self) -> Features {
        let segmentation = Features::VNET | Features::TSO4 | Features::TSO6 | Features::TSO_ECN;
        let attempts = [
            segmentation | Features::USO4 | Features::USO6,
            segmentation,
            Features::VNET,
        ];
        let taken = attempts
            .into_iter()
            .find(|offloads| self.offload_ioctl(*offloads).is_ok());
        taken.unwrap_or(Features::NONE)
    }

    fn failed(&self, what: &'static str, cause: io::Error) -> Error {
        Error::TunIo {
            name: self.name.clone(),
            what,
            cause,
        }
    }

    /// What to say of a device that was deleted.
    pub fn gone(&self) -> Error {
        Error::TunGone {
            name: self.name.clone(),
        }
    }

    /// virtio_net_hdr in little-endian on every machine (as the wire has it), nothing offloaded yet.
    fn prepare(&mut self) -> io::Result<()> {
        let little_endian: libc::c_int = 1;
        // SAFETY: TUNSETVNETLE reads one int, which lives until the call returns.
        let result = unsafe {
            libc::ioctl(
                self.descriptor.as_raw_fd(),
                libc::TUNSETVNETLE,
                &raw const little_endian,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        self.offloads = self.probe_offloads();
        self.set_offloads(Features::NONE)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::Tun;

    #[test]
    fn a_read_that_fails_ends_the_tunnel_only_where_the_device_is_at_fault() {
        let flags = SocketFlags::CLOEXEC;
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
        let tun = Tun::from_descriptor(pair.unwrap().0, "zt0".into(), 1400).unwrap();
        let unread = |errno| {
            let unread = tun.unread(io::Error::from_raw_os_error(errno));
            unread.map_err(|error| error.code())
        };
        assert_eq!(unread(libc::EAGAIN), Ok(None));
        assert_eq!(unread(libc::EINTR), Ok(None));
        assert_eq!(unread(libc::EINVAL), Ok(Some(0)));
        assert_eq!(unread(libc::EBADFD), Err("ZP_TUN_GONE"));
        assert_eq!(unread(libc::EFAULT), Err("ZP_TUN_GONE"));
        assert_eq!(unread(libc::EIO), Err("ZP_TUN_IO"));
    }
}
