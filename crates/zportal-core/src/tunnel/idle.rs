//! What a tunnel does while it has no peer: it waits, empties its TUN, and hears a close.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::thread::TunnelThread;
use crate::error::Error;

/// Room for the beginning of a packet that is thrown away.
pub(super) const DISCARD_BYTES: usize = 2048;

impl TunnelThread<'_> {
    /// Does `work` while no peer is connected; the TUN is emptied meanwhile, and a close is heard.
    pub(super) async fn while_down<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            end = self.close_requested() => Err(end),
            result = work => Ok(result),
            end = self.discard_packets() => Err(end),
        }
    }

    async fn close_requested(&self) -> Error {
        while !self.wake.close_requested() {
            self.woken().await;
        }
        Error::Closed
    }

    /// Returns after some other thread has called.
    pub(super) async fn woken(&self) {
        if let Ok(mut event) = self.wake_events.readable().await {
            event.clear_ready();
            self.wake.clear();
        }
    }

    async fn discard_packets(&self) -> Error {
        let mut scratch = [0; DISCARD_BYTES];
        let packets = match watch(&self.tun) {
            Ok(packets) => packets,
            Err(error) => return error,
        };
        loop {
            match packets.ready(Interest::READABLE | Interest::ERROR).await {
                Ok(mut event) => {
                    if event.ready().is_error() {
                        // A TUN reports an error, and nothing else, once it is deleted.
                        return self.tun.gone();
                    }
                    event.clear_ready();
                }
                Err(cause) => return not_watched(&cause),
            }
            loop {
                match self.tun.discard_queued(&mut scratch) {
                    Ok(0) => break,
                    Ok(discarded) => self.shared.stats.drops_down.add(discarded),
                    Err(gone) => return gone,
                }
                // Whoever floods the device must not keep a peer from being found.
                tokio::task::yield_now().await;
            }
        }
    }
}

pub(super) fn watch(descriptor: &impl AsFd) -> Result<AsyncFd<RawFd>, Error> {
    // SAFETY: every descriptor watched here is borrowed from the tunnel's thread, which owns it
    // for longer than it is watched.
    let watched = unsafe {
        AsyncFd::register_with_interest(
            descriptor.as_fd().as_raw_fd(),
            Interest::READABLE | Interest::ERROR,
        )
    };
    watched.map_err(|error| not_watched(&error.into()))
}

pub(super) fn not_watched(cause: &std::io::Error) -> Error {
    Error::Internal(format!("epoll: {cause}"))
}
