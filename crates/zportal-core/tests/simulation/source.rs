//! The hosts behind the tunnel: TCP senders that want all they can get, and one that rarely says
//! something and waits for the answer.

use zportal_core::queue::Packet;

use super::{MS, SECOND};

pub const MSS_BYTES: u32 = 1400;
/// What Linux puts into one packet at the most, and the time whose worth it puts there.
const SUPER_MAX_BYTES: f64 = 60_000.0;
const SUPER_SECONDS: f64 = 0.001;
const FRAME_HEADER_BYTES: u32 = 16;

/// A packet inside the tunnel.
#[derive(Debug, Clone)]
pub struct Inner {
    pub flow: u16,
    pub number: u64,
    pub bytes: u32,
    pub sent_ns: u64,
    pub ip: [u8; 24],
}

impl Packet for Inner {
    fn ip(&self) -> &[u8] {
        &self.ip
    }

    fn ip_mut(&mut self) -> &mut [u8] {
        &mut self.ip
    }

    fn wire_bytes(&self) -> usize {
        (self.bytes + FRAME_HEADER_BYTES) as usize
    }

    fn memory_bytes(&self) -> usize {
        if self.bytes <= 2000 { 2048 } else { 65_552 }
    }
}

impl Inner {
    pub fn new(flow: u16, port: u16, number: u64, bytes: u32, sent_ns: u64, ecn: bool) -> Inner {
        let mut ip = [0; 24];
        ip[0] = 0x45;
        ip[1] = if ecn { 2 } else { 0 };
        ip[9] = 6;
        ip[12..16].copy_from_slice(&[10, 0, 0, 1]);
        ip[16..20].copy_from_slice(&[10, 0, 0, 2]);
        ip[20..22].copy_from_slice(&port.to_be_bytes());
        Inner {
            flow,
            number,
            bytes,
            sent_ns,
            ip,
        }
    }

    pub fn is_marked(&self) -> bool {
        self.ip[1] & 3 == 3
    }
}

/// How a sender reacts.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Its window after a loss, of what it was before (0.5 Reno, 0.7 Cubic).
    pub decrease: f64,
    /// Segments that its window grows by in a round trip.
    pub increase: f64,
    /// Whether it understands marks.
    pub ecn: bool,
}

/// A TCP sender with endless data.
#[derive(Debug)]
pub struct Bulk {
    flow: u16,
    habits: Habits,
    window_bytes: f64,
    threshold_bytes: f64,
    inflight_bytes: f64,
    /// Its packets under way: number and bytes, oldest first.
    under_way: std::collections::VecDeque<(u64, u32)>,
    next_number: u64,
    /// Losses of packets below this belong to a decrease that was made already.
    recovered_at: u64,
    smoothed_rtt_ns: f64,
    heard_ns: u64,
}

impl Bulk {
    pub fn new(flow: u16, habits: Habits) -> Bulk {
        Bulk {
            flow,
            habits,
            window_bytes: f64::from(MSS_BYTES * 10),
            threshold_bytes: f64::MAX,
            inflight_bytes: 0.0,
            under_way: std::collections::VecDeque::new(),
            next_number: 0,
            recovered_at: 0,
            smoothed_rtt_ns: (50 * MS) as f64,
            heard_ns: 0,
        }
    }

    /// The next packet, if the window has room.
    pub fn send(&mut self, now_ns: u64) -> Option<Inner> {
        let room = self.window_bytes - self.inflight_bytes;
        if room < f64::from(MSS_BYTES) {
            return None;
        }
        let rate = self.window_bytes / (self.smoothed_rtt_ns / SECOND as f64);
        let wanted = (rate * SUPER_SECONDS)
            .min(self.window_bytes / 2.0)
            .min(SUPER_MAX_BYTES)
            .min(room);
        let segments = ((wanted / f64::from(MSS_BYTES)) as u32).max(1);
        let bytes = segments * MSS_BYTES;
        let number = self.next_number;
        self.next_number += 1;
        self.inflight_bytes += f64::from(bytes);
        self.under_way.push_back((number, bytes));
        let port = 1000 + self.flow;
        Some(Inner::new(
            self.flow,
            port,
            number,
            bytes,
            now_ns,
            self.habits.ecn,
        ))
    }

    /// An acknowledgement: packets before `number` that are not acknowledged yet were lost.
    pub fn acknowledged(&mut self, now_ns: u64, number: u64, sent_ns: u64, marked: bool) {
        self.heard_ns = now_ns;
        let rtt_ns = (now_ns - sent_ns) as f64;
        self.smoothed_rtt_ns += (rtt_ns - self.smoothed_rtt_ns) / 8.0;
        let mut lost = false;
        while let Some((first, bytes)) = self.under_way.front().copied() {
            if first > number {
                break;
            }
            self.under_way.pop_front();
            self.inflight_bytes -= f64::from(bytes);
            lost |= first < number;
            if first == number && !lost {
                self.grow(f64::from(bytes));
            }
        }
        if (lost || marked) && number >= self.recovered_at {
            self.recovered_at = self.next_number;
            self.window_bytes =
                (self.window_bytes * self.habits.decrease).max(2.0 * f64::from(MSS_BYTES));
            self.threshold_bytes = self.window_bytes;
        }
    }

    /// Gives up on what is under way if nothing has come back for long.
    pub fn check_timeout(&mut self, now_ns: u64) {
        let timeout_ns = (200 * MS) as f64 + 2.0 * self.smoothed_rtt_ns;
        if self.under_way.is_empty() || ((now_ns - self.heard_ns) as f64) < timeout_ns {
            return;
        }
        self.heard_ns = now_ns;
        self.under_way.clear();
        self.inflight_bytes = 0.0;
        self.recovered_at = self.next_number;
        self.threshold_bytes = (self.window_bytes / 2.0).max(2.0 * f64::from(MSS_BYTES));
        self.window_bytes = 2.0 * f64::from(MSS_BYTES);
    }

    fn grow(&mut self, bytes: f64) {
        if self.window_bytes < self.threshold_bytes {
            self.window_bytes += bytes;
        } else {
            let segments = self.habits.increase * bytes / self.window_bytes;
            self.window_bytes += segments * f64::from(MSS_BYTES);
        }
        self.window_bytes = self.window_bytes.min(16e6);
    }
}
