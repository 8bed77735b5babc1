//! What a SOCKS5 proxy's answer amounts to, as far as it has arrived.

use crate::proxy::step::Failure;

use super::requests::{TYPE_NAME, TYPE_V4, TYPE_V6};
use super::{METHOD_GSSAPI, METHOD_NOT_ACCEPTABLE, METHOD_PASSWORD, VERSION};

const REPLY_SUCCEEDED: u8 = 0x00;
const LOGIN_SUCCEEDED: u8 = 0x00;

/// Version, reply, reserved byte, address type, and the length of a name: as far as a reply has
/// to be read to know its length.
const REPLY_HEAD_BYTES: usize = 4;
/// The longest answer: a reply whose bound address is a name of 255 bytes.
pub(super) const ANSWER_LIMIT_BYTES: usize = REPLY_HEAD_BYTES + 1 + 255 + 2;

/// How a name and a password are given, for those who read that they are missing.
const HOW_TO_GIVE: &str = "give them as in socks5://NAME:PASSWORD@HOST:PORT";

/// What the answer read so far amounts to.
pub(super) enum Verdict {
    /// It has at least this many bytes.
    Needs(usize),
    /// It ends here and is good.
    Good,
    Bad(Failure),
}

/// RFC 1928 §3.
pub(super) fn judge_method(answer: &[u8], offered: &[u8]) -> Verdict {
    let gave_password = offered.contains(&METHOD_PASSWORD);
    match *answer {
        [] => Verdict::Needs(1),
        [VERSION] => Verdict::Needs(2),
        [VERSION, method, ..] if offered.contains(&method) => Verdict::Good,
        [VERSION, METHOD_NOT_ACCEPTABLE, ..] if gave_password => Verdict::Bad(Failure::Auth(
            "it accepts neither a name and password nor doing without (method 0xff)".into(),
        )),
        [VERSION, METHOD_NOT_ACCEPTABLE, ..] => Verdict::Bad(Failure::Auth(format!(
            "it accepts no client without a name and password or another proof (method 0xff); \
             {HOW_TO_GIVE}"
        ))),
        [VERSION, METHOD_PASSWORD, ..] => Verdict::Bad(Failure::Auth(format!(
            "it insists on a name and password (method 0x02); {HOW_TO_GIVE}"
        ))),
        [VERSION, METHOD_GSSAPI, ..] => {
            Verdict::Bad(Failure::Auth("it insists on GSSAPI (method 0x01)".into()))
        }
        [VERSION, method, ..] => Verdict::Bad(Failure::Protocol(format!(
            "it chose authentication method {method:#04x}, which was not offered"
        ))),
        [version, ..] => wrong_version(version),
    }
}

/// RFC 1929 §2. The version in front is 1 by the letter; servers in use send 5 as well, and the
/// status behind it means the same.
pub(super) fn judge_login(answer: &[u8]) -> Verdict {
    match *answer {
        [] => Verdict::Needs(1),
        [0x01 | VERSION] => Verdict::Needs(2),
        [0x01 | VERSION, LOGIN_SUCCEEDED, ..] => Verdict::Good,
        [0x01 | VERSION, status, ..] => Verdict::Bad(Failure::Auth(format!(
            "it refused the name and password that were given (status {status:#04x})"
        ))),
        [version, ..] => Verdict::Bad(Failure::Protocol(format!(
            "its answer to the name and password starts with {version:#04x} instead of 0x01"
        ))),
    }
}

/// RFC 1928 §6.
pub(super) fn judge_reply(answer: &[u8], wants_onion: bool) -> Verdict {
    match *answer {
        [] => Verdict::Needs(1),
        [VERSION] => Verdict::Needs(2),
        [VERSION, REPLY_SUCCEEDED] | [VERSION, REPLY_SUCCEEDED, _] => {
            Verdict::Needs(REPLY_HEAD_BYTES)
        }
        [VERSION, REPLY_SUCCEEDED, _, kind, ref bound @ ..] => {
            let address_bytes = match (kind, bound) {
                (TYPE_V4, _) => 4,
                (TYPE_V6, _) => 16,
                (TYPE_NAME, []) => return Verdict::Needs(REPLY_HEAD_BYTES + 1),
                (TYPE_NAME, [length, ..]) => 1 + usize::from(*length),
                _ => {
                    return Verdict::Bad(Failure::Protocol(format!(
                        "its reply has the unknown address type {kind:#04x}"
                    )));
                }
            };
            let wanted = REPLY_HEAD_BYTES + address_bytes + 2;
            if answer.len() < wanted {
                Verdict::Needs(wanted)
            } else {
                Verdict::Good
            }
        }
        [VERSION, code, ..] => Verdict::Bad(Failure::Refused(refusal(code, wants_onion))),
        [version, ..] => wrong_version(version),
    }
}

fn wrong_version(version: u8) -> Verdict {
    let guess = match version {
        b'H' => " (an HTTP server or proxy?)",
        b'S' => " (an SSH server?)",
        0x00 => " (a SOCKS4 proxy?)",
        0x15 | 0x16 => " (a TLS server?)",
        _ => "",
    };
    Verdict::Bad(Failure::Protocol(format!(
        "its answer starts with {version:#04x} instead of SOCKS version 0x05{guess}"
    )))
}

/// RFC 1928 §6, with what each usually means, and Tor's own codes (its proposal 304), which it
/// sends where its SocksPort has the flag ExtendedErrors.
fn refusal(code: u8, wants_onion: bool) -> String {
    let sentence = match code {
        0x01 => "general failure of the SOCKS server",
        0x02 => "its rules do not allow this connection",
        0x03 => "network unreachable from there",
        0x04 => "host unreachable from there, or its name is unknown there",
        0x05 => "the target refused the connection",
        0x06 => "TTL expired on the way: the target did not answer in time",
        0x07 => "it does not support the CONNECT command",
        0x08 => "it does not support this type of address (IPv4, IPv6 or name)",
        0xf0 => "Tor found no descriptor of the onion service: is it running and published?",
        0xf1 => "Tor found an invalid descriptor of the onion service",
        0xf2 => "Tor was not introduced to the onion service: it does not answer",
        0xf3 => "Tor could not meet the onion service at the rendezvous point",
        0xf4 => "the onion service admits authorized clients only, and Tor has no key for it",
        0xf5 => "the onion service does not accept the key that Tor has for it",
        0xf6 => "this is not the address of an onion service: is it complete?",
        0xf7 => "the introduction to the onion service timed out",
        _ => "a reply code that RFC 1928 does not know",
    };
    let hint = match code {
        0x01..=0x08 if wants_onion => {
            "; Tor tells more about onion services with ExtendedErrors at its SocksPort"
        }
        _ => "",
    };
    format!("{sentence} (reply {code:#04x}){hint}")
}
