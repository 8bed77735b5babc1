//! Addresses: what parses prints back, what does not parse says why.

use std::str::FromStr;

use proptest::prelude::*;
use zportal_core::address::{Address, Host};
use zportal_core::error::Error;

fn parse(text: &str) -> Result<Address, Error> {
    Address::from_str(text)
}

#[test]
fn every_form_parses_and_prints_back() {
    for text in [
        "192.0.2.1:7000",
        "0.0.0.0:0",
        "[2001:db8::1]:7000",
        "[::]:65535",
        "[::ffff:192.0.2.1]:1",
        "[fe80::1%eth0]:7000",
        "[fe80::1%3]:7000",
        "[fe80::1%eth0.100]:7000",
        "host.example:7000",
        "localhost:7000",
        "my_host-1.lan.:7000",
        "xn--bcher-kva.example:443",
        "abcdefghijklmnop.onion:80",
        "1.2.3.4.example:80",
        "unix:/run/zportal.sock",
        "unix:relative/path with space:7000",
        "unixa:zportal",
        "unixa:@odd:name/π",
    ] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn forms_become_the_right_values() {
    let v4 = Address::Tcp {
        host: Host::V4([192, 0, 2, 1].into()),
        port: 7000,
    };
    assert_eq!(parse("192.0.2.1:7000").unwrap(), v4);
    let v6 = Address::Tcp {
        host: Host::V6("2001:db8::1".parse().unwrap()),
        port: 7000,
    };
    assert_eq!(parse("[2001:0DB8:0::1]:07000").unwrap(), v6);
    let zone = Host::V6Zone("fe80::1".parse().unwrap(), "eth0".into());
    assert_eq!(
        parse("[fe80::1%eth0]:7").unwrap(),
        Address::Tcp {
            host: zone,
            port: 7
        }
    );
    let name = Address::Tcp {
        host: Host::Name("host.example".into()),
        port: 80,
    };
    assert_eq!(parse("host.example:80").unwrap(), name);
    assert_eq!(parse("unix:/p").unwrap(), Address::UnixPath("/p".into()));
    assert_eq!(parse("unixa:n").unwrap(), Address::UnixAbstract("n".into()));
}

#[test]
fn refusals_name_the_reason_the_value_and_what_is_accepted() {
    let long_name = format!("{}:1", ["a".repeat(63).as_str(); 4].join("."));
    for (text, reason) in [
        ("", "the port is missing"),
        ("host", "the port is missing"),
        ("192.0.2.1", "the port is missing"),
        (":7000", "the host is missing"),
        ("host:", "the port is \"\""),
        ("host:+80", "the port is \"+80\""),
        ("host: 80", "the port is \" 80\""),
        ("host:65536", "the port is \"65536\""),
        ("host:-1", "the port is \"-1\""),
        ("host:http", "the port is \"http\""),
        ("2001:db8::1:7000", "in brackets"),
        ("::1", "in brackets"),
        ("[2001:db8::1]", "after ] comes :port"),
        ("[2001:db8::1]7000", "after ] comes :port"),
        ("[2001:db8::1:7000", "the closing ] is missing"),
        ("[host.example]:7000", "not an IPv6 address"),
        ("[192.0.2.1]:7000", "not an IPv6 address"),
        ("[]:7000", "not an IPv6 address"),
        ("[2001:db8::1%eth0]:7000", "only link-local"),
        ("[fe80::1%]:7000", "network interface"),
        ("[fe80::1%sixteen-chars-16]:7000", "network interface"),
        ("[fe80::1%a b]:7000", "network interface"),
        (
            "192.0.2.256:7000",
            "neither an IPv4 address nor a host name",
        ),
        ("10.1:7000", "neither an IPv4 address nor a host name"),
        ("0x7f000001:7000", "neither an IPv4 address nor a host name"),
        ("host name:7000", "contains ' '"),
        ("user@host:7000", "contains '@'"),
        ("*:7000", "contains '*'"),
        ("bücher.example:80", "xn--"),
        ("a..b:80", "between the dots"),
        (".a:80", "between the dots"),
        (long_name.as_str(), "255 bytes, where 253"),
        ("socks5://host:1080", "URL"),
        ("/run/zportal.sock", "unix:/run/zportal.sock"),
        ("unix:", "the path is empty"),
        ("unixa:", "the abstract name is empty"),
        ("unix:/a\0b", "NUL"),
    ] {
        let Err(Error::Option(message)) = parse(text) else {
            panic!("{text:?} was accepted")
        };
        assert!(message.contains(reason), "{text:?}: {message}");
        assert!(
            message.contains(&format!("{text:?}")),
            "{text:?} is not quoted: {message}"
        );
        assert!(message.contains("accepted are 192.0.2.1:7000"), "{message}");
    }
    let label = format!("{}.example:1", "a".repeat(64));
    assert!(
        parse(&label)
            .unwrap_err()
            .to_string()
            .contains("1 to 63 bytes")
    );
}

#[test]
fn unix_names_end_at_107_bytes() {
    for prefix in ["unix:", "unixa:"] {
        assert!(parse(&format!("{prefix}{}", "x".repeat(107))).is_ok());
        let message = parse(&format!("{prefix}{}", "x".repeat(108)))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("108 bytes, where Unix sockets allow 107"),
            "{message}"
        );
        // Bytes count, not characters.
        assert!(parse(&format!("{prefix}{}", "ä".repeat(54))).is_err());
    }
}

proptest! {
    #[test]
    fn whatever_is_accepted_prints_back(text in "(unixa?:|\\[)?[0-9a-fx:.%\\]\\PC]{0,40}(:[0-9]{1,5})?") {
        if let Ok(address) = parse(&text) {
            prop_assert_eq!(parse(&address.to_string()).unwrap(), address);
        }
    }

    #[test]
    fn every_v6_address_prints_back(bits in any::<u128>(), port in any::<u16>()) {
        let address = Address::Tcp { host: Host::V6(bits.into()), port };
        prop_assert_eq!(parse(&address.to_string()).unwrap(), address);
    }
}
