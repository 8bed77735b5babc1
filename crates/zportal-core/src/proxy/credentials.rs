//! A name and a password for a proxy, which no `Debug` output ever shows.

use std::fmt;

/// Who we are to a proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub name: String,
    /// The password; may be empty.
    pub password: String,
}

impl Credentials {
    /// A name and password that mean nothing to anybody and are nobody else's: Tor gives streams
    /// with different credentials different circuits (`IsolateSOCKSAuth`, tor(1)).
    pub fn isolation(random: [u8; 16]) -> Self {
        Self {
            name: "zportal".into(),
            password: format!("{:032x}", u128::from_be_bytes(random)),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Credentials(hidden)")
    }
}

/// Bytes that hold a password, on their way to the proxy.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Hidden(pub(super) Vec<u8>);

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Hidden({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_them() {
        let credentials = Credentials {
            name: "alice".into(),
            password: "sesame".into(),
        };
        let hidden = Hidden(b"alice sesame".into());
        for shown in [format!("{credentials:#?}"), format!("{hidden:?}")] {
            assert!(!shown.contains("alice") && !shown.contains("sesame"));
        }
    }

    #[test]
    fn isolation_is_as_random_as_what_it_is_made_of() {
        let one = Credentials::isolation([7; 16]);
        assert_eq!(one.password, "07".repeat(16));
        assert_ne!(one, Credentials::isolation([8; 16]));
    }
}
