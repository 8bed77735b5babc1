//! What this end knows of the other, and so what it may send and must accept.
//!
//! The first frame decides for the whole link (`docs/WIRE.md`): a HELLO makes both speak the
//! extension, anything else means that the peer is an original.

use crate::error::Error;
use crate::wire::features::{Features, negotiate};
use crate::wire::header::{FLAG_CONTROL, FLAG_VNET};
use crate::wire::hello::{HELLO_BYTES, Hello, VERSION};

/// How the other end speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speech {
    /// Nothing has come yet: only what an original understands may be sent.
    Unknown,
    /// Plain frames up to its MTU, which is taken to be ours.
    Original,
    /// The extension, with the features that both have.
    Extended {
        /// What it said of itself.
        hello: Hello,
        /// What both announced.
        agreed: Features,
    },
}

/// The other end of the link, as seen from this one.
#[derive(Debug)]
pub struct Peer {
    ours: Hello,
    speech: Speech,
}

impl Peer {
    /// Nothing is known yet; `ours` is what this end says of itself.
    pub fn new(ours: Hello) -> Peer {
        Peer {
            ours,
            speech: Speech::Unknown,
        }
    }

    /// How it speaks, as far as is known.
    pub fn speech(&self) -> &Speech {
        &self.speech
    }

    /// What this end says of itself.
    pub fn ours(&self) -> &Hello {
        &self.ours
    }

    /// What both ends can.
    pub fn agreed(&self) -> Features {
        match self.speech {
            Speech::Extended { agreed, .. } => agreed,
            Speech::Unknown | Speech::Original => Features::NONE,
        }
    }

    /// Learns from the first frame; true if it was a HELLO, which is for us and not for the TUN.
    pub fn learn(&mut self, first_payload: &[u8]) -> Result<bool, Error> {
        let hello = Hello::parse(first_payload).map_err(|malformed| Error::Message {
            detail: malformed.to_string(),
        })?;
        self.speech = match hello {
            Some(hello) if hello.session_id == self.ours.session_id => {
                let detail = "it is this tunnel's own HELLO: the address leads back to this end";
                return Err(Error::Message {
                    detail: detail.into(),
                });
            }
            Some(hello) => Speech::Extended {
                hello,
                agreed: negotiate(self.ours.features, hello.features),
            },
            None => Speech::Original,
        };
        Ok(hello.is_some())
    }

    /// Whether frames may carry a virtio_net_hdr.
    pub fn takes_vnet(&self) -> bool {
        self.agreed().contains(Features::VNET)
    }

    /// The largest payload that may be sent.
    pub fn payload_limit_bytes(&self) -> usize {
        let limit = match self.speech {
            Speech::Extended { hello, .. } => hello.max_payload_bytes,
            Speech::Unknown | Speech::Original => self.ours.mtu_bytes.into(),
        };
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// The largest payload that is accepted. A HELLO comes before anything is known, and may be
    /// larger than a tiny MTU.
    pub fn accepted_bytes(&self) -> u32 {
        match self.speech {
            Speech::Extended { .. } => self.ours.max_payload_bytes,
            Speech::Unknown => u32::from(self.ours.mtu_bytes).max(HELLO_BYTES as u32),
            Speech::Original => self.ours.mtu_bytes.into(),
        }
    }

    /// The flag bits that are accepted.
    pub fn accepted_flags(&self) -> u32 {
        match self.speech {
            Speech::Unknown | Speech::Original => 0,
            Speech::Extended { agreed, .. } if agreed.contains(Features::VNET) => {
                FLAG_CONTROL | FLAG_VNET
            }
            Speech::Extended { .. } => FLAG_CONTROL,
        }
    }
}

impl std::fmt::Display for Speech {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Speech::Unknown => formatter.write_str("silent"),
            Speech::Original => formatter.write_str("original"),
            Speech::Extended { hello, agreed } => {
                // A newer peer speaks ours too: the lower version is spoken.
                write!(formatter, "v{} {agreed}", hello.version.min(VERSION))
            }
        }
    }
}
