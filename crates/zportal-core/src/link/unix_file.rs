//! The file of a listening Unix socket: taking over what a dead process left, and removing our
//! own, never anybody else's.
//!
//! Two processes that come to the same stale file at once would each remove the other's fresh
//! one; whoever looks and binds therefore holds a lock on the directory, which leaves no litter.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with,
};

/// The socket's file is ours alone: there is no authentication yet, so whoever may connect may
/// send packets into the tunnel. (On Linux, connecting takes write permission.)
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// How long the directory's lock is waited for; its holders need it for microseconds.
const LOCK_RETRY: Duration = Duration::from_millis(10);
const LOCK_ATTEMPTS: usize = 50;

/// Our socket's file; removed on drop if it is still the one we made.
///
/// Must be dropped before the socket: while that is open, the kernel cannot give the file's
/// inode number to another file.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// Why the file cannot be ours.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// Somebody listens there.
    InUse(io::Error),
    /// Something that is not a socket has that name.
    NotASocket(io::Error),
    Other(io::Error),
}

impl SocketFile {
    /// Binds `socket` to `path` and lets `listen` run before anybody else may judge the file:
    /// a socket that is bound and does not listen yet looks like a dead one.
    pub(super) fn bind(
        socket: &OwnedFd,
        path: &Path,
        listen: impl FnOnce() -> io::Result<()>,
    ) -> Result<Self, Obstacle> {
        // Remembered as an absolute path, because the process may change its directory.
        let absolute = std::path::absolute(path).map_err(Obstacle::Other)?;
        let address = SocketAddrUnix::new(path).map_err(|errno| Obstacle::Other(errno.into()))?;
        // Linux gives the new file the mode of the socket itself (less the umask), so that there
        // is no moment in which it is open to others.
        rustix::fs::fchmod(socket, MODE).map_err(|errno| Obstacle::Other(errno.into()))?;
        let _lock = lock_directory(&absolute);
        match bind(socket, &address) {
            Ok(()) => {}
            Err(Errno::ADDRINUSE) => {
                remove_if_stale(&absolute, &address)?;
                bind(socket, &address).map_err(|errno| match errno {
                    Errno::ADDRINUSE => Obstacle::InUse(errno.into()),
                    _ => Obstacle::Other(errno.into()),
                })?;
            }
            Err(errno) => return Err(Obstacle::Other(errno.into())),
        }
        let made = fs::symlink_metadata(&absolute).map_err(Obstacle::Other)?;
        let file = Self {
            path: absolute,
            device: made.dev(),
            inode: made.ino(),
        };
        listen().map_err(Obstacle::Other)?;
        Ok(file)
    }

    fn is_still_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _lock = lock_directory(&self.path);
        if self.is_still_ours()
            && let Err(cause) = fs::remove_file(&self.path)
        {
            log::warn!(
                "cannot remove the socket file {}: {cause}",
                self.path.display()
            );
        }
    }
}

/// Removes the file if it is a socket at which nobody listens any more.
fn remove_if_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), Obstacle> {
    let found = match fs::symlink_metadata(path) {
        // Its owner removed it in this moment.
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(Obstacle::Other)?,
    };
    let in_use = || io::Error::from(Errno::ADDRINUSE);
    if !found.file_type().is_socket() {
        return Err(Obstacle::NotASocket(in_use()));
    }
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|errno| Obstacle::Other(errno.into()))?;
    match connect(&probe, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(Obstacle::Other),
        // Anything else is somebody's: a full backlog, another type of socket, no permission.
        _ => Err(Obstacle::InUse(in_use())),
    }
}

/// The lock, or nothing where the directory cannot be read or stays locked: it narrows a race
/// between two that start at once, and is no reason not to start.
fn lock_directory(path: &Path) -> Option<OwnedFd> {
    let parent = path.parent().unwrap_or(Path::new(OsStr::new("/")));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(parent, flags, Mode::empty()).ok()?;
    for _ in 0..LOCK_ATTEMPTS {
        match rustix::fs::flock(directory.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(directory),
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(LOCK_RETRY),
            Err(_) => return None,
        }
    }
    None
}
