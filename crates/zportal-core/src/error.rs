//! Every way in which the core can fail, each with one stable code.
//!
//! The codes are a promise to users: a code never changes its meaning, and the table in
//! `docs/ERRORS.md` and the list in `src/errors.ts` are held equal to [`CODES`] by a test. Here is what
//! each means and says; what programs read of it is in `error/code.rs`.

mod code;

use std::io;

pub use code::CODES;

/// What went wrong. The message says what happened, with the value got, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value outside what is accepted; nothing was created.
    #[error("{0}")]
    Option(String),

    /// `/dev/net/tun` does not exist.
    #[error(
        "there is no /dev/net/tun: load the module (modprobe tun) or pass the device into the container (--device /dev/net/tun)"
    )]
    TunMissing(#[source] io::Error),
    /// The process lacks CAP_NET_ADMIN, or may not open `/dev/net/tun`.
    #[error("no permission to {what}: {cure}")]
    TunPermission {
        /// What was attempted.
        what: String,
        /// What the user can do.
        cure: &'static str,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// A device of that name exists and is not ours to use.
    #[error(
        "the network device {name} exists already: choose another name, or tun%d to let the kernel number it; a persistent TUN that nobody uses is removed by ip tuntap del {name} mode tun"
    )]
    TunNameTaken {
        /// The name asked for.
        name: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The kernel refused an address, the MTU or the link state.
    #[error("the kernel refused to set {what} on {name}: {cause}")]
    TunConfigure {
        /// The device.
        name: String,
        /// What was to be set.
        what: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// There is such a route already, and it is not this tunnel's.
    #[error(
        "there is a route to {route} already, which {name} would take over: remove that one (ip route show {route}), or leave it out"
    )]
    RouteExists {
        /// The route asked for.
        route: String,
        /// The device.
        name: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The kernel refused a route.
    #[error("the kernel refused {what}: {cause}")]
    Route {
        /// What was attempted: `to route 10.0.0.0/8 into zt0`.
        what: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The device was deleted while the tunnel ran.
    #[error("the network device {name} was deleted while the tunnel ran")]
    TunGone {
        /// The device.
        name: String,
    },
    /// Any other failure of the TUN device.
    #[error("TUN device {name}: cannot {what}: {cause}")]
    TunIo {
        /// The device.
        name: String,
        /// What was attempted.
        what: &'static str,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The kernel, a seccomp filter or a limit forbids io_uring.
    #[error("io_uring is not available ({cause}): {cure}")]
    IoUring {
        /// What the user can do.
        cure: &'static str,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },

    /// Another socket listens there already.
    #[error(
        "cannot listen on {address}: the address is in use; stop the other program or choose another address"
    )]
    BindInUse {
        /// The address asked for.
        address: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// Any other failure to listen.
    #[error("cannot listen on {address}: {cause}{}", cure.map(|cure| format!("; {cure}")).unwrap_or_default())]
    Bind {
        /// The address asked for.
        address: String,
        /// What the user can do, where there is a usual cause.
        cure: Option<&'static str>,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },

    /// A host name has no address.
    #[error("cannot resolve {host}: {cause}; is the name right, and does DNS work here?")]
    Resolve {
        /// The host name.
        host: String,
        /// Which hop: 0 is the first proxy, or the peer itself without proxies.
        hop: usize,
        /// The resolver's answer.
        #[source]
        cause: io::Error,
    },
    /// Nobody listens at the peer or the first proxy.
    #[error("{}", nobody_at(address, cause))]
    DialRefused {
        /// Where the connection went.
        address: String,
        /// Which hop: 0 is the first proxy, or the peer itself without proxies.
        hop: usize,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// Any other failure to connect.
    #[error("cannot connect to {address}: {cause}")]
    Dial {
        /// Where the connection went.
        address: String,
        /// Which hop: 0 is the first proxy, or the peer itself without proxies.
        hop: usize,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The whole dial took longer than its deadline.
    #[error("no connection within {timeout_ms} ms: {stage}")]
    DialTimeout {
        /// The deadline, in milliseconds from the start of the dial.
        timeout_ms: u64,
        /// Which hop was being waited for.
        hop: usize,
        /// What was being waited for.
        stage: String,
    },
    /// The kernel does not let us mark the stream's packets.
    #[error(
        "cannot set the firewall mark {mark} on the tunnel's own stream: {cause}; it takes CAP_NET_ADMIN"
    )]
    SoMark {
        /// The mark asked for.
        mark: u32,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The proxy wants a name and password or another proof, or does not accept the one given.
    #[error("proxy {address} does not let us in: {detail}")]
    ProxyAuth {
        /// The proxy.
        address: String,
        /// Its place in the chain, from 0.
        hop: usize,
        /// What it said.
        detail: String,
    },
    /// The proxy understood and said no.
    #[error("proxy {address} cannot reach {target}: {detail}")]
    ProxyRefused {
        /// The proxy.
        address: String,
        /// Its place in the chain, from 0.
        hop: usize,
        /// What it was asked to reach.
        target: String,
        /// What it said.
        detail: String,
    },
    /// The proxy's answer is not of its protocol.
    #[error("{address} does not answer as a proxy does: {detail}")]
    ProxyProtocol {
        /// The proxy.
        address: String,
        /// Its place in the chain, from 0.
        hop: usize,
        /// What it said.
        detail: String,
    },
    /// The proxy ended the connection before its answer was complete.
    #[error("proxy {address} closed the connection during the handshake: {detail}")]
    ProxyClosed {
        /// The proxy.
        address: String,
        /// Its place in the chain, from 0.
        hop: usize,
        /// In what state, and how.
        detail: String,
    },

    /// The first four bytes of a frame are not `ZPRT`.
    #[error(
        "the peer does not speak ZPortal's protocol: frame magic {got:#010x} instead of 0x5a505254"
    )]
    FrameMagic {
        /// The four bytes, big-endian.
        got: u32,
    },
    /// A flag bit that nobody announced.
    #[error("the peer sent a frame with flags {got:#010x} that this end does not know")]
    FrameFlags {
        /// The flags, big-endian.
        got: u32,
    },
    /// A payload of no bytes, or above what this end accepts.
    #[error(
        "the peer sent a frame of {got} bytes where this end accepts 1 to {limit}: give both ends the same MTU"
    )]
    FrameSize {
        /// Payload bytes announced.
        got: u32,
        /// Largest payload accepted, bytes.
        limit: u32,
    },
    /// The payload does not match its checksum.
    #[error("a frame arrived damaged: CRC32C {got:#010x}, computed {computed:#010x}")]
    FrameCrc {
        /// The checksum in the header.
        got: u32,
        /// The checksum of the payload as it arrived.
        computed: u32,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame: {got} of {wanted} bytes arrived")]
    FrameCut {
        /// Bytes of the frame that arrived.
        got: usize,
        /// Bytes that the frame has (16 when the header itself is incomplete).
        wanted: usize,
    },

    /// The peer's HELLO or a control message is not as `docs/WIRE.md` has it.
    #[error("the peer's ZPortal sent a message that this one cannot read: {detail}")]
    Message {
        /// What is wrong with it.
        detail: String,
    },
    /// The peer ended the stream between two frames.
    #[error("the peer closed the connection{}", said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    PeerClosed {
        /// Its reason, if it gave one.
        said: Option<String>,
    },
    /// The other end serves another peer.
    #[error("the other end takes one peer at a time, and is busy{}", said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    PeerBusy {
        /// Its own words.
        said: Option<String>,
    },
    /// Somebody else got the seat.
    #[error("{}", if *returned { "the peer has come back over another connection" } else { "it has shown nothing, and another connection took its place" })]
    PeerReplaced {
        /// Whether it was the peer itself, come back.
        returned: bool,
    },
    /// The peer answers no question any more.
    #[error("the peer has answered nothing for {silent_ms} ms, though it was asked{}", since(*network_changed))]
    PeerSilent {
        /// For how long, milliseconds.
        silent_ms: u64,
        /// Whether this end's network has changed before, so that less time was given.
        network_changed: bool,
    },
    /// The stream broke.
    #[error("the connection to the peer broke: {cause}")]
    LinkLost {
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// This end was asked to close.
    #[error("closed by request")]
    Closed,
    /// A defect in ZPortal itself.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

/// What lets a process create and configure network devices.
pub(crate) const GRANT_NET_ADMIN: &str = "run as root or grant CAP_NET_ADMIN";

/// Why nobody answers where something was dialed.
fn nobody_at(address: &str, cause: &io::Error) -> String {
    if cause.kind() == io::ErrorKind::NotFound {
        return format!(
            "there is no socket {address}: is the other end running, and is the path right?"
        );
    }
    format!("{address} refused the connection: is it running there, and is the address right?")
}

/// What adds to the silence of a peer.
fn since(network_changed: bool) -> &'static str {
    if network_changed {
        " since the network here has changed: the way to it is another one now"
    } else {
        ": it is stopped, or the way to it is cut"
    }
}
