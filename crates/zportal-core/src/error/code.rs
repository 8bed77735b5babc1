//! What programs read of a failure: its code, the kernel's number, the hop.

use super::Error;

/// Every code, in the order of [`Error`]'s variants.
pub const CODES: &[&str] = &[
    "ZP_OPTION",
    "ZP_TUN_MISSING",
    "ZP_TUN_PERMISSION",
    "ZP_TUN_NAME_TAKEN",
    "ZP_TUN_CONFIGURE",
    "ZP_ROUTE_EXISTS",
    "ZP_ROUTE",
    "ZP_TUN_GONE",
    "ZP_TUN_IO",
    "ZP_IO_URING",
    "ZP_BIND_IN_USE",
    "ZP_BIND",
    "ZP_RESOLVE",
    "ZP_DIAL_REFUSED",
    "ZP_DIAL",
    "ZP_DIAL_TIMEOUT",
    "ZP_SO_MARK",
    "ZP_PROXY_AUTH",
    "ZP_PROXY_REFUSED",
    "ZP_PROXY_PROTOCOL",
    "ZP_PROXY_CLOSED",
    "ZP_FRAME_MAGIC",
    "ZP_FRAME_FLAGS",
    "ZP_FRAME_SIZE",
    "ZP_FRAME_CRC",
    "ZP_FRAME_CUT",
    "ZP_MESSAGE",
    "ZP_PEER_CLOSED",
    "ZP_PEER_BUSY",
    "ZP_PEER_REPLACED",
    "ZP_PEER_SILENT",
    "ZP_LINK_LOST",
    "ZP_CLOSED",
    "ZP_INTERNAL",
];

impl Error {
    /// The stable code, as in `docs/ERRORS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Option(_) => "ZP_OPTION",
            Error::TunMissing(_) => "ZP_TUN_MISSING",
            Error::TunPermission { .. } => "ZP_TUN_PERMISSION",
            Error::TunNameTaken { .. } => "ZP_TUN_NAME_TAKEN",
            Error::TunConfigure { .. } => "ZP_TUN_CONFIGURE",
            Error::RouteExists { .. } => "ZP_ROUTE_EXISTS",
            Error::Route { .. } => "ZP_ROUTE",
            Error::TunGone { .. } => "ZP_TUN_GONE",
            Error::TunIo { .. } => "ZP_TUN_IO",
            Error::IoUring { .. } => "ZP_IO_URING",
            Error::BindInUse { .. } => "ZP_BIND_IN_USE",
            Error::Bind { .. } => "ZP_BIND",
            Error::Resolve { .. } => "ZP_RESOLVE",
            Error::DialRefused { .. } => "ZP_DIAL_REFUSED",
            Error::Dial { .. } => "ZP_DIAL",
            Error::DialTimeout { .. } => "ZP_DIAL_TIMEOUT",
            Error::SoMark { .. } => "ZP_SO_MARK",
            Error::ProxyAuth { .. } => "ZP_PROXY_AUTH",
            Error::ProxyRefused { .. } => "ZP_PROXY_REFUSED",
            Error::ProxyProtocol { .. } => "ZP_PROXY_PROTOCOL",
            Error::ProxyClosed { .. } => "ZP_PROXY_CLOSED",
            Error::FrameMagic { .. } => "ZP_FRAME_MAGIC",
            Error::FrameFlags { .. } => "ZP_FRAME_FLAGS",
            Error::FrameSize { .. } => "ZP_FRAME_SIZE",
            Error::FrameCrc { .. } => "ZP_FRAME_CRC",
            Error::FrameCut { .. } => "ZP_FRAME_CUT",
            Error::Message { .. } => "ZP_MESSAGE",
            Error::PeerClosed { .. } => "ZP_PEER_CLOSED",
            Error::PeerBusy { .. } => "ZP_PEER_BUSY",
            Error::PeerReplaced { .. } => "ZP_PEER_REPLACED",
            Error::PeerSilent { .. } => "ZP_PEER_SILENT",
            Error::LinkLost { .. } => "ZP_LINK_LOST",
            Error::Closed => "ZP_CLOSED",
            Error::Internal(_) => "ZP_INTERNAL",
        }
    }

    /// The operating system's error number behind it, if there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::TunMissing(cause)
            | Error::TunPermission { cause, .. }
            | Error::TunNameTaken { cause, .. }
            | Error::TunConfigure { cause, .. }
            | Error::RouteExists { cause, .. }
            | Error::Route { cause, .. }
            | Error::TunIo { cause, .. }
            | Error::IoUring { cause, .. }
            | Error::BindInUse { cause, .. }
            | Error::Bind { cause, .. }
            | Error::Resolve { cause, .. }
            | Error::DialRefused { cause, .. }
            | Error::Dial { cause, .. }
            | Error::SoMark { cause, .. }
            | Error::LinkLost { cause } => cause.raw_os_error(),
            _ => None,
        }
    }

    /// Which hop of the way to the peer failed, from 0 at the first proxy.
    pub fn hop(&self) -> Option<usize> {
        match self {
            Error::Resolve { hop, .. }
            | Error::DialRefused { hop, .. }
            | Error::Dial { hop, .. }
            | Error::DialTimeout { hop, .. }
            | Error::ProxyAuth { hop, .. }
            | Error::ProxyRefused { hop, .. }
            | Error::ProxyProtocol { hop, .. }
            | Error::ProxyClosed { hop, .. } => Some(*hop),
            _ => None,
        }
    }
}
