//! A connection that has not shown yet who it is: its bytes are kept up to the end of its first
//! frame, which says it, and not one further.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::rules::Shown;
use crate::error::Error;
use crate::link::Stream;
use crate::wire::control::{CONTROL_MAX_BYTES, CloseReason, Control};
use crate::wire::decoder::Decoder;
use crate::wire::header::{FLAG_CONTROL, encode};
use crate::wire::hello::Hello;

/// Reads in one look, so that a sender of single bytes keeps nobody here.
const READS_MAX: usize = 4;

/// Somebody at the door.
pub struct Candidate {
    /// What epoll calls it.
    pub token: u64,
    /// When it came.
    pub came_at: Instant,
    /// Set once it has been told to go: when it is shut out, whether it has read that or not.
    pub leaves_at: Option<Instant>,
    /// What it has shown so far.
    pub shown: Shown,
    stream: Stream,
}

impl Candidate {
    /// Somebody who has just come.
    pub fn new(token: u64, stream: Stream) -> Candidate {
        Candidate {
            token,
            came_at: Instant::now(),
            leaves_at: None,
            shown: Shown::Nothing,
            stream,
        }
    }

    /// Who it is, as people should see it.
    pub fn name(&self) -> &str {
        &self.stream.peer
    }

    /// Its socket.
    pub fn socket(&self) -> &OwnedFd {
        &self.stream.socket
    }

    /// Gives the stream away; what was read of it comes first.
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    /// Reads what has come, without waiting, up to the end of the first frame.
    ///
    /// # Errors
    /// What makes it no peer: the stream's end, or a frame that no peer sends.
    pub fn read(&mut self, decoder: &Decoder) -> Result<(), Error> {
        for _ in 0..READS_MAX {
            if self.shown != Shown::Nothing {
                return Ok(());
            }
            let early = &mut self.stream.early;
            let have = early.len();
            let wanted = decoder.wanted_bytes(early).saturating_sub(have);
            early.resize(have + wanted, 0);
            let got = recv(&self.stream.socket, &mut early[have..], RecvFlags::DONTWAIT);
            early.truncate(have + got.as_ref().map_or(0, |(bytes, _)| *bytes));
            match got {
                Ok((0, _)) => return Err(decoder.cut(early)),
                Ok(_) => self.judge(decoder)?,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(errno) => {
                    return Err(Error::LinkLost {
                        cause: errno.into(),
                    });
                }
            }
        }
        Ok(())
    }

    fn judge(&mut self, decoder: &Decoder) -> Result<(), Error> {
        if let Some(frame) = decoder.decode(&self.stream.early)? {
            let hello = Hello::parse(frame.payload).map_err(|malformed| Error::Message {
                detail: malformed.to_string(),
            })?;
            self.shown = hello.map_or(Shown::Packet, |hello| Shown::Hello(hello.session_id));
        }
        Ok(())
    }

    /// Says in one piece who we are and that the seat is taken. It is for the peer's ZPortal, so
    /// only after its HELLO.
    pub fn refuse(&mut self, ours: &Hello) {
        let close = Control::Close {
            reason: CloseReason::BUSY,
            text: "another peer is connected",
        };
        let mut buffer = [0; CONTROL_MAX_BYTES];
        let (hello, close) = (ours.encode(), close.encode(&mut buffer));
        let words = [
            &encode(0, &hello)[..],
            &hello,
            &encode(FLAG_CONTROL, close),
            close,
        ]
        .concat();
        // A few hundred bytes always fit into a fresh socket; who is gone already needs no words.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let _ = send(self.stream.socket.as_fd(), &words, flags);
        let _ = shutdown(&self.stream.socket, Shutdown::Write);
        self.stream.early = Vec::new();
    }
}
