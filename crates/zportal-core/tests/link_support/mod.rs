//! What the tests of links share: counting descriptors, scripted servers, checked sockets.
//!
//! Nothing here sleeps: threads wait for bytes, for the end of a stream, or for each other.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::FdFlags;
use rustix::net::sockopt;
use zportal_core::address::Address;
use zportal_core::error::Error;
use zportal_core::link::{Stream, Transport, Way};
use zportal_core::proxy::Proxy;

/// Long enough never to expire on a loaded machine; for dials that should succeed.
pub const PATIENT: Duration = Duration::from_secs(60);
/// For dials that should run into their deadline.
pub const SHORT: Duration = Duration::from_millis(150);

/// Descriptors belong to the process, so tests that count them take turns. And a test that waits
/// for what never happens ends the process with its name, instead of waiting for ever.
pub struct Turn {
    before: Vec<String>,
    watchdog: Option<(Sender<()>, JoinHandle<()>)>,
    _lock: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

/// Far above what any test takes on a loaded machine.
const TURN_LIMIT: Duration = Duration::from_secs(120);

impl Turn {
    pub fn take() -> Self {
        let lock = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let (over, wait) = channel();
        let watchdog = std::thread::spawn(move || {
            if wait.recv_timeout(TURN_LIMIT) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{test} still waits for something after {TURN_LIMIT:?}");
                std::process::abort();
            }
        });
        Self {
            before: descriptors(),
            watchdog: Some((over, watchdog)),
            _lock: lock,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((over, watchdog)) = self.watchdog.take() {
            drop(over);
            watchdog.join().unwrap();
        }
        if !std::thread::panicking() {
            assert_eq!(
                descriptors(),
                self.before,
                "descriptors leaked (or were closed twice)"
            );
        }
    }
}

/// Every open descriptor's number and what it is, less the one that reads the list.
pub fn descriptors() -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let what = std::fs::read_link(entry.path()).ok()?;
            Some(format!(
                "{} {}",
                entry.file_name().display(),
                what.display()
            ))
        })
        .filter(|one| !one.contains("/proc/"))
        .collect();
    all.sort();
    all
}

/// As a tunnel's thread runs it.
pub fn run<F: Future>(future: F) -> F::Output {
    tokio_uring::start(future)
}

pub fn address(text: impl AsRef<str>) -> Address {
    Address::from_str(text.as_ref()).unwrap()
}

/// A way through SOCKS5 proxies without passwords.
pub fn way(target: &Address, proxies: &[Address], timeout: Duration) -> Way {
    Way {
        target: target.clone(),
        proxies: proxies.iter().cloned().map(Proxy::from).collect(),
        timeout,
        mark: None,
    }
}

pub async fn dial(
    target: &Address,
    proxies: &[Address],
    timeout: Duration,
) -> Result<Stream, Error> {
    zportal_core::link::dial(&way(target, proxies, timeout)).await
}

/// A name that no other test of any process uses.
pub fn unique() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!(
        "zp-test-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A directory that goes away with the test.
pub struct Directory(pub std::path::PathBuf);

impl Directory {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(unique());
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn socket(&self) -> Address {
        Address::UnixPath(self.0.join("s"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// What the packet loop relies on.
pub fn assert_ready_for_packets(stream: &Stream) {
    let socket = stream.socket.as_fd();
    assert!(
        !rustix::fs::fcntl_getfl(socket)
            .unwrap()
            .contains(OFlags::NONBLOCK),
        "non-blocking"
    );
    assert!(
        rustix::io::fcntl_getfd(socket)
            .unwrap()
            .contains(FdFlags::CLOEXEC),
        "inherited"
    );
    if stream.transport == Transport::Tcp {
        assert!(sockopt::tcp_nodelay(socket).unwrap());
        assert!(sockopt::socket_keepalive(socket).unwrap());
        assert_eq!(
            sockopt::tcp_keepidle(socket).unwrap(),
            Duration::from_secs(5)
        );
        assert_eq!(
            sockopt::tcp_keepintvl(socket).unwrap(),
            Duration::from_secs(2)
        );
        assert_eq!(sockopt::tcp_keepcnt(socket).unwrap(), 3);
        assert_eq!(sockopt::tcp_user_timeout(socket).unwrap(), 10_000);
    }
}

/// Bytes go through in both directions.
pub fn assert_joined(one: &Stream, other: &Stream) {
    for (from, to) in [(one, other), (other, one)] {
        rustix::io::write(&from.socket, b"through").unwrap();
        let mut got = [0; 7];
        assert_eq!(rustix::io::read(&to.socket, &mut got).unwrap(), 7);
        assert_eq!(&got, b"through");
    }
}

/// Waits for the end of a stream, whichever way it ends.
pub fn assert_ended(socket: &OwnedFd) {
    let mut rest = [0; 256];
    while let Ok(1..) = rustix::io::read(socket, &mut rest) {}
}

/// One thing that a scripted server does.
#[derive(Debug, Clone)]
pub enum Act {
    /// Exactly these bytes must come now.
    Expect(Vec<u8>),
    Send(Vec<u8>),
    /// Each byte in a write of its own.
    SendSingly(Vec<u8>),
    /// FIN.
    Finish,
    /// RST.
    Reset,
    /// Reads until the other side is gone: silence from here on.
    Hold,
}

pub struct Scripted {
    pub address: Address,
    thread: JoinHandle<()>,
}

impl Scripted {
    /// Serves one connection by the script and closes it.
    pub fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = address(listener.local_addr().unwrap().to_string());
        let thread = std::thread::spawn(move || play(listener.accept().unwrap().0, acts));
        Self { address, thread }
    }

    /// Waits for its end and hands its failures on.
    pub fn join(self) {
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

fn play(mut stream: TcpStream, acts: Vec<Act>) {
    stream.set_nodelay(true).unwrap();
    for act in acts {
        match act {
            Act::Expect(wanted) => {
                let mut got = vec![0; wanted.len()];
                stream.read_exact(&mut got).unwrap();
                assert_eq!(got, wanted);
            }
            Act::Send(bytes) => stream.write_all(&bytes).unwrap(),
            Act::SendSingly(bytes) => {
                for byte in bytes {
                    stream.write_all(&[byte]).unwrap();
                }
            }
            Act::Finish => stream.shutdown(Shutdown::Write).unwrap(),
            Act::Reset => {
                sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
                return;
            }
            Act::Hold => {
                let mut rest = [0; 256];
                while let Ok(1..) = stream.read(&mut rest) {}
            }
        }
    }
}

/// A listener whose backlog is full: who connects waits for ever. The streams keep it full.
pub fn black_hole() -> (OwnedFd, Address, Vec<OwnedFd>) {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};
    let socket = |flags| {
        let flags = SocketFlags::CLOEXEC | flags;
        socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap()
    };
    let listener = socket(SocketFlags::empty());
    bind(&listener, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&listener, 0).unwrap();
    let at = std::net::SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap();
    // The kernel takes one more than the backlog says; what does not complete is our full mark.
    let mut streams = Vec::new();
    for _ in 0..4 {
        let stream = socket(SocketFlags::NONBLOCK);
        let _ = connect(&stream, &at);
        streams.push(stream);
    }
    (listener, address(at.to_string()), streams)
}
