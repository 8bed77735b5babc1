//! From a [`Host`] to addresses, in the order in which they should be tried.

use std::future::Future;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::address::Host;
use crate::lock::held;

/// So many lookups may hang in the system's resolver at a time, in the whole process. A lookup
/// cannot be called back: a tunnel that dials on while the name servers are silent would
/// otherwise gather a thread every attempt. Who comes when it is full fails at once.
const LOOKUPS_LIMIT: usize = 16;

static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// Every address of `host`, never blocking the calling thread.
///
/// The system's resolver runs on a thread of its own that nobody joins. A runtime's own blocking
/// pool would not do: its shutdown waits for what runs there, so that a tunnel could not close
/// while a name server is silent.
pub(super) async fn resolve(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    let Host::Name(name) = host else {
        return Ok(vec![numeric(host, port)?]);
    };
    let query = (name.clone(), port);
    finish(Lookup::start(move || Ok(query.to_socket_addrs()?.collect()))?.await?)
}

/// The same for where waiting for the resolver harms nobody.
pub(super) fn resolve_blocking(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host {
        Host::Name(name) => finish((name.as_str(), port).to_socket_addrs()?.collect()),
        _ => Ok(vec![numeric(host, port)?]),
    }
}

type Answer = io::Result<Vec<SocketAddr>>;

/// A lookup under way on its thread. Dropping it takes our waker back, so that a lookup that
/// hangs holds on to nothing of the runtime.
struct Lookup(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    answer: Option<Answer>,
    waker: Option<Waker>,
}

impl Lookup {
    fn start(ask: impl FnOnce() -> Answer + Send + 'static) -> io::Result<Self> {
        let place = LookupPlace::take()?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let theirs = Arc::clone(&shared);
        let lookup = move || {
            let answer = ask();
            drop(place);
            // Woken under the lock: whoever sees the answer knows that the waker is gone.
            let mut shared = held(&theirs);
            shared.answer = Some(answer);
            if let Some(waker) = shared.waker.take() {
                waker.wake();
            }
        };
        std::thread::Builder::new()
            .name("zp-resolve".into())
            .spawn(lookup)?;
        Ok(Self(shared))
    }
}

impl Future for Lookup {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut shared = held(&self.0);
        match shared.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                shared.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        held(&self.0).waker = None;
    }
}

/// One of the places for lookups, free again when dropped.
struct LookupPlace;

impl LookupPlace {
    fn take() -> io::Result<Self> {
        let place = LookupPlace;
        if LOOKUPS.fetch_add(1, Ordering::Relaxed) >= LOOKUPS_LIMIT {
            return Err(io::Error::other(format!(
                "{LOOKUPS_LIMIT} earlier lookups are still waiting for the name servers"
            )));
        }
        Ok(place)
    }
}

impl Drop for LookupPlace {
    fn drop(&mut self) {
        LOOKUPS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn finish(answer: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    if answer.is_empty() {
        return Err(io::Error::other("the name has no address"));
    }
    Ok(interleave(answer))
}

/// Families take turns, the resolver's favourite first (RFC 8305 §4): when one family is broken
/// altogether, the second attempt is already one of the other.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let mut distinct: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    let (first, second): (Vec<_>, Vec<_>) = distinct
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let (a, b) = (first.next(), second.next());
        if a.is_none() && b.is_none() {
            return ordered;
        }
        ordered.extend(a.into_iter().chain(b));
    }
}

fn numeric(host: &Host, port: u16) -> io::Result<SocketAddr> {
    match host {
        Host::V4(address) => Ok((*address, port).into()),
        Host::V6(address) => Ok((*address, port).into()),
        Host::V6Zone(address, zone) => zoned(*address, zone, port),
        Host::Name(_) => Err(io::Error::other("a name is not an address")),
    }
}

fn zoned(address: Ipv6Addr, zone: &str, port: u16) -> io::Result<SocketAddr> {
    let index = match zone.parse() {
        Ok(index) => index,
        Err(_) => {
            // Any socket will do for the question; the kernel wants one to ask through.
            let flags = SocketFlags::CLOEXEC;
            let probe = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
            rustix::net::netdevice::name_to_index(&probe, zone)?
        }
    };
    Ok(SocketAddrV6::new(address, port, 0, index).into())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::Wake;

    use super::*;

    #[test]
    fn families_take_turns_and_nothing_is_lost() {
        let parse = |text: &str| {
            text.split(' ')
                .map(|one| one.parse().unwrap())
                .collect::<Vec<_>>()
        };
        let given = parse("[::1]:1 [::2]:1 [::3]:1 10.0.0.1:1 10.0.0.2:1 [::1]:1");
        let wanted = parse("[::1]:1 10.0.0.1:1 [::2]:1 10.0.0.2:1 [::3]:1");
        assert_eq!(interleave(given), wanted);
    }

    struct Unpark(std::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    #[test]
    fn lookups_that_hang_are_bounded_and_hold_nothing_once_dropped() {
        let unpark = Arc::new(Unpark(std::thread::current()));
        let waker = Waker::from(Arc::clone(&unpark));
        let mut context = Context::from_waker(&waker);
        let address: SocketAddr = "192.0.2.1:7000".parse().unwrap();
        let start = || {
            let (release, hang) = mpsc::channel::<()>();
            let ask = move || {
                let _ = hang.recv();
                Ok(vec![address])
            };
            Lookup::start(ask).map(|lookup| (release, lookup))
        };
        let mut hanging: Vec<_> = (0..LOOKUPS_LIMIT).map(|_| start().unwrap()).collect();
        for (_, lookup) in &mut hanging {
            assert!(Pin::new(lookup).poll(&mut context).is_pending());
        }
        let refusal = start().err().expect("one more has no place").to_string();
        assert!(refusal.contains("16 earlier lookups"), "{refusal}");

        // One that nobody waits for any more keeps its place until its thread is done, but
        // nothing of the runtime.
        let held = Arc::strong_count(&unpark);
        let (abandoned, lookup) = hanging.pop().unwrap();
        drop(lookup);
        assert_eq!(Arc::strong_count(&unpark), held - 1);
        assert!(start().is_err());

        for (release, mut lookup) in hanging {
            drop(release);
            let answer = loop {
                match Pin::new(&mut lookup).poll(&mut context) {
                    Poll::Ready(answer) => break answer.unwrap(),
                    Poll::Pending => std::thread::park(),
                }
            };
            assert_eq!(answer, [address]);
            start().expect("its place was free before its answer was there");
        }
        drop(abandoned);
    }
}
