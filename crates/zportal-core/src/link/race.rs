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

/// Tries every address; `budget` is what is left of the deadline, so that the last address still
/// gets its share of a short one. The failures come in the order in which they happened.
pub(super) async fn connect_any(
    addresses: &[SocketAddr],
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
                Box::pin(async move { Socket::connect(&Endpoint::Inet(address)).await }),
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
