//! What the tests of the outbound begin with: a peer that takes super-packets, and packets for it.

use super::Outbound;
use crate::session::peer::Peer;
use crate::window::batch::Sizes;
use crate::wire::features::Features;
use crate::wire::hello::{Hello, VERSION};
use crate::wire::vnet::{GSO_TCPV4, NEEDS_CSUM, VnetHeader};

pub const SEGMENT_BYTES: usize = 1360;
pub const HEADERS_BYTES: usize = 40;

pub fn peer() -> Peer {
    peer_taking(u16::MAX.into())
}

/// A peer that takes payloads of so many bytes.
pub fn peer_taking(max_payload_bytes: u32) -> Peer {
    let hello = Hello {
        version: VERSION,
        is_relayed: false,
        features: Features::VNET | Features::TSO4 | Features::USO4,
        max_payload_bytes,
        mtu_bytes: 1400,
        session_id: [1; 16],
        inner_ipv4: None,
        inner_ipv6_digest: None,
    };
    let mut peer = Peer::new(hello);
    let theirs = Hello {
        session_id: [2; 16],
        ..hello
    };
    assert!(peer.learn(&theirs.encode()).unwrap());
    peer
}

pub fn outbound(batch_bytes: u64, quantum_bytes: u64) -> Outbound {
    let mut outbound = Outbound::new([21, 24], Sizes::at(0, 1400));
    let sizes = Sizes {
        batch_bytes,
        unsent_bytes: batch_bytes,
        quantum_bytes,
    };
    outbound.resize(sizes, u64::MAX);
    outbound
}

/// Puts a TCP packet with so many segments into the space, as a TUN with offloads does, and returns
/// its bytes. The last byte of its destination is the `flow`.
pub fn read(outbound: &mut Outbound, flow: u8, segments: usize) -> usize {
    let packet_bytes = HEADERS_BYTES + segments * SEGMENT_BYTES;
    let mut packet = vec![0; packet_bytes];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&u16::try_from(packet_bytes).unwrap().to_be_bytes());
    packet[8..10].copy_from_slice(&[64, 6]);
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, flow]);
    packet[32] = 5 << 4;
    let header = match segments {
        1 => VnetHeader::default(),
        _ => VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: GSO_TCPV4,
            hdr_len: HEADERS_BYTES as u16,
            gso_size: SEGMENT_BYTES as u16,
            csum_start: 20,
            csum_offset: 16,
        },
    };
    let read = [&header.encode()[..], &packet].concat();
    outbound.space()[..read.len()].copy_from_slice(&read);
    read.len()
}

/// The same of a datagram with so much payload, whose checksum is partial.
pub fn read_datagram(outbound: &mut Outbound, flow: u8, payload_bytes: usize) -> usize {
    let udp_bytes = u16::try_from(8 + payload_bytes).unwrap();
    let mut packet = vec![0; 20 + usize::from(udp_bytes)];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(20 + udp_bytes).to_be_bytes());
    // Don't Fragment, so that the identification says nothing.
    packet[6] = 0x40;
    packet[8..10].copy_from_slice(&[64, 17]);
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, flow]);
    packet[24..26].copy_from_slice(&udp_bytes.to_be_bytes());
    let header = VnetHeader {
        flags: NEEDS_CSUM,
        csum_start: 20,
        csum_offset: 6,
        ..VnetHeader::default()
    };
    let read = [&header.encode()[..], &packet].concat();
    outbound.space()[..read.len()].copy_from_slice(&read);
    read.len()
}
