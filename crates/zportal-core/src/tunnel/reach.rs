//! How a tunnel comes to a stream that may be its peer: a server accepts, a client dials, after a
//! pause that ends early when the network comes back.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::idle::watch;
use super::request::Role;
use super::thread::TunnelThread;
use crate::address::Address;
use crate::error::Error;
use crate::link::{self, NetworkWatch, Stream, Way};
use crate::seat::Door;
use crate::seat::rules::Seat;

/// A dial that was under way for less than this when the network came back goes on. Not longer: a
/// link may be announced up to a second after its route, and swallow what was sent before.
const DIAL_YOUNG: Duration = Duration::from_millis(100);
/// So often a dial begins anew because the network came back: where something is always coming
/// and going, a long way through proxies must still get its time.
const DIALS_MAX: usize = 4;
/// While the network settles, a host that was not reached is tried again after this time.
const DIAL_AGAIN: Duration = Duration::from_millis(200);
/// Where it never settles, a dial tries no longer than this: what comes then is a pause.
const DIALS_AGAIN_MAX: Duration = Duration::from_secs(4);

impl TunnelThread<'_> {
    /// Waits for a while, or until the network has come back since the last dial began; not as soon
    /// where it does so all the time.
    pub(super) async fn pause(&self, pause: Duration) {
        if pause.is_zero() {
            return;
        }
        let heard_from = self.churn.borrow().heard_from(Instant::now());
        let is_announced = Cell::new(false);
        let heard = async {
            self.network_came_back().await;
            is_announced.set(true);
            tokio::time::sleep_until(heard_from.into()).await;
        };
        // Whichever comes first.
        let _ = tokio::time::timeout(pause, heard).await;
        self.churn.borrow_mut().paused(is_announced.get());
    }

    /// A stream to whoever comes, or goes, first.
    pub(super) async fn reach_peer(&self) -> Result<Stream, Error> {
        match (self.shared.changeable.way(), &self.door) {
            (Some(way), _) => self.dial(&way).await,
            (None, Some(door)) => self.next_at(door).await,
            (None, None) => Err(Error::Internal("a server without listener".into())),
        }
    }

    /// Whoever gets the free seat.
    async fn next_at(&self, door: &RefCell<Door>) -> Result<Stream, Error> {
        let (stats, notices) = (&self.shared.stats, &self.shared.notices);
        let knocks = watch(&*door.borrow())?;
        loop {
            let (winner, is_quiet, look_at) = {
                let mut door = door.borrow_mut();
                door.look(Seat::Free, stats, notices);
                (
                    door.take_winner(),
                    door.is_quiet(),
                    door.look_at(Seat::Free, Instant::now()),
                )
            };
            if let Some(stream) = winner {
                return Ok(stream);
            }
            if !is_quiet {
                // What is still to be looked at is announced only once.
                tokio::task::yield_now().await;
                continue;
            }
            let knock = async {
                if let Ok(mut event) = knocks.readable().await {
                    event.clear_ready();
                }
            };
            match look_at {
                Some(at) => {
                    // Whichever comes first.
                    let _ = tokio::time::timeout_at(at.into(), knock).await;
                }
                None => knock.await,
            }
        }
    }

    /// Dials; anew when the network comes back meanwhile, because the kernel asks again only after
    /// pauses that double.
    async fn dial(&self, way: &Way) -> Result<Stream, Error> {
        for _ in 1..DIALS_MAX {
            // What was announced until now, this dial will see by itself.
            self.forget_announcements();
            let begun_at = Instant::now();
            tokio::select! {
                biased;
                outcome = self.dial_once(way) => return outcome,
                () = self.network_came_back_after(begun_at + DIAL_YOUNG) => {}
            }
        }
        self.dial_once(way).await
    }

    /// Dials, as often as the network needs to settle.
    async fn dial_once(&self, way: &Way) -> Result<Stream, Error> {
        let begun_at = Instant::now();
        loop {
            let outcome = self.dial_now(way).await;
            let network = self.network.as_ref();
            let is_settling = network.is_some_and(|network| network.borrow().is_settling());
            let may_wait = begun_at.elapsed() < DIALS_AGAIN_MAX;
            match &outcome {
                Err(error) if is_settling && may_wait && is_unreached(error) => {
                    tokio::time::sleep(DIAL_AGAIN).await;
                }
                _ => return outcome,
            }
        }
    }

    async fn dial_now(&self, way: &Way) -> Result<Stream, Error> {
        match &self.approach {
            Some(approach) => link::dial_outside(way, approach).await,
            None => link::dial(way).await,
        }
    }

    async fn network_came_back_after(&self, moment: Instant) {
        loop {
            self.network_came_back().await;
            if Instant::now() >= moment {
                return;
            }
        }
    }

    /// Returns once something was announced that may mean the network is back; never without a
    /// watch, as with a Unix socket.
    async fn network_came_back(&self) {
        let Some(network) = &self.network else {
            return std::future::pending().await;
        };
        let Ok(announcements) = watch(&*network.borrow()) else {
            return std::future::pending().await;
        };
        loop {
            match announcements.readable().await {
                Ok(mut event) => {
                    if network.borrow_mut().came_back() {
                        return;
                    }
                    event.clear_ready();
                }
                Err(_) => return std::future::pending().await,
            }
        }
    }

    fn forget_announcements(&self) {
        if let Some(network) = &self.network {
            network.borrow_mut().came_back();
        }
    }
}

/// Whether hop 0 was not reached at all.
fn is_unreached(error: &Error) -> bool {
    let is_no_way = matches!(
        error.errno(),
        Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::ENETDOWN)
    );
    is_no_way && error.hop() == Some(0)
}

/// Watches the network, unless nobody comes over it; without it, pauses are only waited out.
pub(super) fn watch_network(role: &Role, own_device: u32) -> Option<RefCell<NetworkWatch>> {
    match role {
        Role::Serve { bind, .. } if !matches!(bind, Address::Tcp { .. }) => None,
        Role::Serve { .. } | Role::Dial(_) => NetworkWatch::open(own_device).ok().map(RefCell::new),
    }
}
