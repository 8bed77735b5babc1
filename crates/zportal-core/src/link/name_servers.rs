//! The name servers that the system's resolver asks (resolv.conf(5)).

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;

const FILE: &str = "/etc/resolv.conf";
/// Much longer than any; what stands behind is not read.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// The resolver asks no more (resolv.h, MAXNS).
const SERVERS_MAX: usize = 3;

/// Those on other machines. One on this machine, which asks others in its turn, is not among them:
/// whom it asks, only it knows.
pub(super) fn name_servers() -> Vec<IpAddr> {
    let mut text = String::new();
    let read =
        File::open(FILE).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => parse(&text),
        // Without the file the resolver asks this machine.
        Err(_) => Vec::new(),
    }
}

fn parse(text: &str) -> Vec<IpAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (line.starts_with("nameserver") && words.next() == Some("nameserver"))
            .then(|| words.next())
            .flatten()
    });
    servers
        .take(SERVERS_MAX)
        // A link-local one has a zone, is no address by itself, and stays on its link anyway.
        .filter_map(|server| server.parse().ok())
        .filter(|server: &IpAddr| !server.is_loopback())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn those_that_the_resolver_asks_are_found_in_their_order() {
        let text = "# nameserver 192.0.2.1\n\
            search example nameserver 192.0.2.2\n\
            nameserver 192.0.2.3\n\
            nameservers 192.0.2.4\n\
            nameserver\t2001:db8::5   # the second\n \
            nameserver 192.0.2.6\n\
            options timeout:1\n\
            nameserver 127.0.0.53\n\
            nameserver 192.0.2.8";
        let found: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.3", "2001:db8::5"]);
    }

    #[test]
    fn what_is_no_address_to_route_is_none() {
        for text in [
            "",
            "nameserver",
            "nameserver one",
            "nameserver fe80::1%eth0",
            "nameserver ::1",
        ] {
            assert!(parse(text).is_empty(), "{text:?}");
        }
    }
}
