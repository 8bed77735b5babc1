//! Packets of one flow always get the same hash, and nobody without the key can choose packets
//! whose hashes collide.
//!
//! A flow is what its endpoints would call one: addresses, protocol and ports; for ICMP echo its
//! identifier instead of ports. Fragments go by addresses and protocol alone, because only the
//! first of them has ports and all must keep their order; nor by their identification, which would
//! make each datagram a new flow, with the priority of one. What is no IP packet is one flow.

#![forbid(unsafe_code)]

const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const ESP: u8 = 50;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
/// The fragment offset and More Fragments of IPv4; 0 in a packet that is whole.
const IPV4_FRAGMENT_MASK: u16 = 0x3fff;
/// The same of the IPv6 fragment header.
const IPV6_FRAGMENT_MASK: u16 = 0xfff9;
/// No honest packet has more extension headers; what lies behind them counts as no ports.
const EXTENSION_HEADERS_MAX: usize = 8;

/// Bytes of a message of SipHash that fill up its last word, beside the length.
const TAIL_BYTES: usize = 7;

/// A keyed hash of packets' flows: SipHash-1-3, which holds against chosen packets.
#[derive(Debug, Clone, Copy)]
pub struct FlowHash {
    key: [u64; 2],
}

impl FlowHash {
    /// `key` must be random and secret.
    pub fn new(key: [u64; 2]) -> FlowHash {
        FlowHash { key }
    }

    /// The hash of the packet's flow. Any bytes have one.
    pub fn hash(&self, ip: &[u8]) -> u64 {
        match ip.first().map(|byte| byte >> 4) {
            Some(4) if ip.len() >= IPV4_HEADER_BYTES => {
                let addresses = [word(ip, 12)];
                self.siphash(&addresses, ipv4_tail(ip))
            }
            Some(6) if ip.len() >= IPV6_HEADER_BYTES => {
                let addresses = [word(ip, 8), word(ip, 16), word(ip, 24), word(ip, 32)];
                self.siphash(&addresses, ipv6_tail(ip))
            }
            _ => self.siphash(&[], [0; TAIL_BYTES]),
        }
    }

    /// SipHash-1-3 of the words and the tail, as of one string of bytes.
    fn siphash(&self, words: &[u64], tail: [u8; TAIL_BYTES]) -> u64 {
        let length = (words.len() * 8 + TAIL_BYTES) as u8;
        let [a, b, c, d, e, f, g] = tail;
        let last = u64::from_le_bytes([a, b, c, d, e, f, g, length]);
        let [k0, k1] = self.key;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        for message in words.iter().copied().chain([last]) {
            state[3] ^= message;
            sip_round(&mut state);
            state[0] ^= message;
        }
        state[2] ^= 0xff;
        sip_round(&mut state);
        sip_round(&mut state);
        sip_round(&mut state);
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

fn sip_round(state: &mut [u64; 4]) {
    let [mut v0, mut v1, mut v2, mut v3] = *state;
    v0 = v0.wrapping_add(v1);
    v1 = v1.rotate_left(13) ^ v0;
    v0 = v0.rotate_left(32);
    v2 = v2.wrapping_add(v3);
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.wrapping_add(v3);
    v3 = v3.rotate_left(21) ^ v0;
    v2 = v2.wrapping_add(v1);
    v1 = v1.rotate_left(17) ^ v2;
    v2 = v2.rotate_left(32);
    *state = [v0, v1, v2, v3];
}

/// The eight bytes at `at`, which the caller knows to be there.
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn ipv4_tail(ip: &[u8]) -> [u8; TAIL_BYTES] {
    let protocol = ip[9];
    let header_bytes = usize::from(ip[0] & 0xf) * 4;
    if u16::from_be_bytes([ip[6], ip[7]]) & IPV4_FRAGMENT_MASK != 0
        || header_bytes < IPV4_HEADER_BYTES
    {
        return tail(protocol, [0; 4]);
    }
    tail(protocol, ports(protocol, ip.get(header_bytes..)))
}

/// Walks the extension headers, which a sender may add to some packets of a flow and not to others.
fn ipv6_tail(ip: &[u8]) -> [u8; TAIL_BYTES] {
    let mut protocol = ip[6];
    let mut at = IPV6_HEADER_BYTES;
    for _ in 0..EXTENSION_HEADERS_MAX {
        let extension_bytes = match (protocol, ip.get(at..at + 8)) {
            (
                HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6,
                Some(extension),
            ) => usize::from(extension[1]) * 8 + 8,
            (AUTHENTICATION, Some(extension)) => usize::from(extension[1]) * 4 + 8,
            (FRAGMENT, Some(fragment)) => {
                if u16::from_be_bytes([fragment[2], fragment[3]]) & IPV6_FRAGMENT_MASK != 0 {
                    return tail(FRAGMENT, [0; 4]);
                }
                8
            }
            _ => return tail(protocol, ports(protocol, ip.get(at..))),
        };
        protocol = ip[at];
        at += extension_bytes;
    }
    tail(protocol, [0; 4])
}

/// What tells the flows of one protocol between two hosts apart; zeros where nothing does.
fn ports(protocol: u8, transport: Option<&[u8]>) -> [u8; 4] {
    match (protocol, transport.unwrap_or_default()) {
        // ESP has its security parameters index in the place of ports.
        (TCP | UDP | DCCP | ESP | SCTP | UDP_LITE, [a, b, c, d, ..]) => [*a, *b, *c, *d],
        // Echo requests and replies have an identifier; errors go by addresses.
        (ICMP, [0 | 8, _, _, _, a, b, ..]) | (ICMPV6, [128 | 129, _, _, _, a, b, ..]) => {
            [*a, *b, 0, 0]
        }
        _ => [0; 4],
    }
}

fn tail(protocol: u8, ports: [u8; 4]) -> [u8; TAIL_BYTES] {
    let [a, b, c, d] = ports;
    [a, b, c, d, protocol, 0, 0]
}
