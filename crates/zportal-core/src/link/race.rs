//! Connecting to whichever of a name's addresses answers.
//!
//! Attempts start one after the other, a short while apart, and run beside each other; the first
//! that connects wins and the rest are closed (RFC 8305 §5, "happy eyeballs"). So an address
//! that swallows packets costs a quarter of a second, not the deadline.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::socket::Socket;

/// How long an attempt is alone before the next one starts beside it (RFC 8305 §8).
const STAGGER: Duration = Duration::from_millis(250);

type Attempt = Pin<Box<dyn Future<Output = io::Result<Socket>>>>;

/// Tries every address, marked with `mark`; `budget` is what is left of the deadline, so that the last address still
/// gets its share of a short one. The failures come in the order in which they happened.
pub(super) async fn connect_any(
    addresses: &[SocketAddr],
    mark: Option<u32>,
    budget: Duration,
) -> Result<(Socket, SocketAddr), Vec<(SocketAddr, io::Error)>> {
    let shares = u32::try_from(addresses.len())
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    let stagger = STAGGER.min(budget / shares);
    let mut waiting = addresses.iter().copied();
    let mut running: Vec<(SocketAddr, Attempt)> = Vec::new();
    let mut failed = Vec::new();
    loop {
        match waiting.next() {
            Some(address) => running.push((
                address,
                Box::pin(async move { Socket::connect(&Endpoint::Inet(address), mark).await }),
            )),
            None if running.is_empty() => return Err(failed),
            None => {}
        }
        tokio::select! {
            (index, outcome) = settled(&mut running) => {
                let (address, _) = running.swap_remove(index);
                match outcome {
                    Ok(socket) => return Ok((socket, address)),
                    Err(cause) => failed.push((address, cause)),
                }
            }
            () = tokio::time::sleep(stagger), if waiting.len() > 0 => {}
        }
    }
}

async fn settled(running: &mut [(SocketAddr, Attempt)]) -> (usize, io::Result<Socket>) {
    poll_fn(|context| {
        for (index, (_, attempt)) in running.iter_mut().enumerate() {
            if let Poll::Ready(outcome) = attempt.as_mut().poll(context) {
                return Poll::Ready((index, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

/// The failure that says most about what is wrong: an answer from the other machine rather than
/// a silence, a silence rather than "this machine has no route for that family".
pub(super) fn most_telling(failures: Vec<(SocketAddr, io::Error)>) -> Option<io::Error> {
    let rank = |cause: &io::Error| match cause.kind() {
        io::ErrorKind::ConnectionRefused => 0,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => 2,
        _ => 1,
    };
    failures
        .into_iter()
        .map(|(_, cause)| cause)
        .min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::OwnedFd;

    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

    use super::*;

    /// A port where nobody listens, kept taken on another address by the listener.
    fn refusing() -> (TcpListener, SocketAddr) {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        (taken, ([127, 0, 0, 2], port).into())
    }

    /// A listener whose backlog stays full: who connects hears nothing.
    fn black_hole() -> (TcpListener, Vec<OwnedFd>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let at = listener.local_addr().unwrap();
        // The kernel takes one more than the backlog says.
        let fill = || {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
            assert_eq!(rustix::net::connect(&socket, &at), Err(Errno::INPROGRESS));
            socket
        };
        (listener, (0..4).map(|_| fill()).collect(), at)
    }

    fn run<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(future)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn one_that_swallows_and_one_that_refuses_do_not_hide_one_that_answers() {
        let (_hole, _full, swallows) = black_hole();
        let (_taken, refuses) = refusing();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let answers = listener.local_addr().unwrap();
        for addresses in [
            [swallows, refuses, answers],
            [refuses, swallows, answers],
            [answers, swallows, refuses],
        ] {
            let (_socket, address) = run(connect_any(&addresses, None, MINUTE)).unwrap();
            assert_eq!(address, answers);
        }
        // The first attempt alone does not eat a short deadline either.
        let short = Duration::from_millis(400);
        let addresses = [swallows, swallows, answers];
        let race = connect_any(&addresses, None, short);
        let outcome = run(async { tokio::time::timeout(short, race).await });
        assert_eq!(outcome.expect("the last had its share").unwrap().1, answers);
    }

    #[test]
    fn when_all_fail_every_failure_is_told() {
        let (_taken, refuses) = refusing();
        let unroutable = "[::ffff:0:0]:1".parse().unwrap();
        let failures = run(connect_any(&[unroutable, refuses], None, MINUTE)).unwrap_err();
        let of: Vec<SocketAddr> = failures.iter().map(|(address, _)| *address).collect();
        assert_eq!(of.len(), 2);
        assert!(of.contains(&refuses) && of.contains(&unroutable));
        assert!(run(connect_any(&[], None, MINUTE)).unwrap_err().is_empty());
    }

    #[test]
    fn an_answer_tells_more_than_silence_and_silence_more_than_no_route() {
        let at: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let failures = |numbers: &[i32]| {
            let one = |number: &i32| (at, io::Error::from_raw_os_error(*number));
            most_telling(numbers.iter().map(one).collect()).and_then(|cause| cause.raw_os_error())
        };
        let (refused, silent, unreachable) =
            (libc::ECONNREFUSED, libc::ETIMEDOUT, libc::ENETUNREACH);
        assert_eq!(failures(&[unreachable, silent, refused]), Some(refused));
        assert_eq!(failures(&[unreachable, silent]), Some(silent));
        assert_eq!(failures(&[unreachable]), Some(unreachable));
        assert_eq!(failures(&[]), None);
    }
}
