//! Networks from which a key may be used.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode, excerpt};

/// A network in CIDR notation, such as `10.20.0.0/16` or `2001:db8::/32`. A single address is a network of one; address bits
/// after the prefix are dropped.
///
/// ```
/// use brokkr_core::model::SourceNetwork;
///
/// let network: SourceNetwork = "10.20.0.0/16".parse()?;
/// assert!(network.contains("::ffff:10.20.1.2".parse().unwrap()), "also as an IPv4-mapped address");
/// # Ok::<_, brokkr_core::error::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceNetwork(IpNet);

impl SourceNetwork {
    /// Whether the address is in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether every address of the other network is in this one.
    pub fn contains_all_of(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }
}

impl FromStr for SourceNetwork {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let network = match text.parse::<IpNet>() {
            Ok(network) => network,
            Err(_) => text.parse::<IpAddr>().map(IpNet::from).map_err(|_| {
                let message =
                    format!("\"{}\" is not a network; use CIDR notation, such as 10.20.0.0/16", excerpt(text));
                Invalid::new(InvalidCode::FieldInvalid, message)
            })?,
        };
        Ok(Self(canonical(network.trunc())))
    }
}

/// IPv4 networks that are written with IPv4-mapped addresses, as IPv4 networks.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else { return network };
    let prefix = six.prefix_len().checked_sub(96);
    let mapped =
        six.addr().to_ipv4_mapped().zip(prefix).and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    mapped.map_or(network, IpNet::V4)
}

impl TryFrom<String> for SourceNetwork {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<SourceNetwork> for String {
    fn from(network: SourceNetwork) -> Self {
        network.to_string()
    }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_only() {
        for (network, address, inside) in [
            ("10.20.0.0/16", "10.20.255.255", true),
            ("10.20.0.0/16", "10.21.0.0", false),
            ("10.20.0.0/16", "::ffff:10.20.0.1", true),
            ("10.20.0.0/16", "2001:db8::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "198.51.100.1", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("::1", "::1", true),
        ] {
            let parsed: SourceNetwork = network.parse().expect("a network");
            assert_eq!(parsed.contains(address.parse().expect("an address")), inside, "{network} {address}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
    }

    #[test]
    fn networks_contain_smaller_ones() {
        for (outer, inner, inside) in [
            ("10.20.0.0/16", "10.20.0.0/16", true),
            ("10.20.0.0/16", "10.20.7.0/24", true),
            ("10.20.0.0/16", "10.20.0.0/15", false),
            ("10.20.0.0/16", "10.21.0.0/24", false),
            ("10.20.0.0/16", "::ffff:10.20.0.1", true),
            ("0.0.0.0/0", "::/0", false),
            ("::/0", "0.0.0.0/0", false),
        ] {
            let network = |text: &str| text.parse::<SourceNetwork>().expect("a network");
            assert_eq!(network(outer).contains_all_of(&network(inner)), inside, "{outer} {inner}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in ["", "10.20.0.0/33", "localhost", "10.20.0.0 /16", "10/8", "010.0.0.1", "::/129", "fe80::1%eth0"] {
            assert!(wrong.parse::<SourceNetwork>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_have_one_form() {
        for (given, form) in [
            ("10.20.0.1/16", "10.20.0.0/16"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("::ffff:10.20.0.1", "10.20.0.1/32"),
            ("::ffff:10.20.0.0/112", "10.20.0.0/16"),
            ("2001:DB8:0::1/32", "2001:db8::/32"),
        ] {
            assert_eq!(given.parse::<SourceNetwork>().map(|it| it.to_string()), Ok(form.to_owned()));
        }
    }
}
