//! The addresses of clients behind proxies.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use brokkr_core::model::SourceNetwork;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client that sent a request. The API's layer adds it to each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientAddress(pub(super) IpAddr);

/// The proxies whose word about the address of a client the server believes. Default: none; the address is that of the
/// connection, whatever the request's headers say.
///
/// If the connection comes from one of the networks, the header lists the addresses that the request has passed, and each proxy
/// appends the one that it saw. The client is the last address of the list that is in none of the networks: what is before it
/// was written by the client itself.
///
/// ```
/// use brokkr_http::server::TrustedProxies;
///
/// let load_balancers = TrustedProxies::new(["10.0.0.0/8".parse()?]);
/// # Ok::<_, brokkr_core::error::Invalid>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<SourceNetwork>,
    is_standard: bool,
}

impl TrustedProxies {
    /// Believes `X-Forwarded-For` of connections from these networks.
    pub fn new(networks: impl IntoIterator<Item = SourceNetwork>) -> Self {
        Self { networks: networks.into_iter().collect(), is_standard: false }
    }

    /// Believes `Forwarded` (RFC 7239) instead of `X-Forwarded-For`. Choose the header that the proxies set: clients can send
    /// the other one through them.
    #[must_use]
    pub fn forwarded(mut self) -> Self {
        self.is_standard = true;
        self
    }

    /// Whether connections from the address are a proxy's.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// The client of a request on a connection from `peer`.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.ip().to_canonical();
        if !self.contain(client) {
            return client;
        }
        let name = if self.is_standard { header::FORWARDED } else { X_FORWARDED_FOR };
        for value in headers.get_all(name).iter().rev() {
            let Ok(value) = value.to_str() else {
                return client;
            };
            for element in value.rsplit(',') {
                let hop = if self.is_standard { forwarded_for(element) } else { address(element.trim()) };
                // Nothing before an element without an address can be attributed to a proxy.
                let Some(hop) = hop else {
                    return client;
                };
                client = hop;
                if !self.contain(hop) {
                    return client;
                }
            }
        }
        client
    }
}

/// The address in an element of `Forwarded`, such as `for="[2001:db8::1]:4711";proto=https`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.trim().split_once('=')?;
        if name.eq_ignore_ascii_case("for") {
            let value = value.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(value);
            // A second one would leave open which is meant.
            if found.replace(address(value)?).is_some() {
                return None;
            }
        }
    }
    found
}

/// An address, which may have a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().or_else(|_| text.parse().map(|it: SocketAddr| it.ip()));
    parsed.ok().map(|it: IpAddr| it.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).expect("a value"))).collect()
    }

    fn proxies() -> TrustedProxies {
        TrustedProxies::new(["10.0.0.0/8", "fd00::/8"].map(|it| it.parse().expect("a network")))
    }

    #[test]
    fn last_untrusted_hop_is_the_client() {
        for (peer, values, expected) in [
            ("203.0.113.9:1", vec!["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1:1", vec![], "10.0.0.1"),
            ("10.0.0.1:1", vec!["198.51.100.1"], "198.51.100.1"),
            ("[::ffff:10.0.0.1]:1", vec!["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1:1", vec!["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1:1", vec!["192.0.2.66", "198.51.100.1, 10.1.1.1"], "198.51.100.1"),
            ("10.0.0.1:1", vec!["192.0.2.66, 198.51.100.1:4711,10.1.1.1"], "198.51.100.1"),
            ("10.0.0.1:1", vec!["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
            ("10.0.0.1:1", vec!["192.0.2.66, unknown, 10.1.1.1"], "10.1.1.1"),
            ("10.0.0.1:1", vec!["192.0.2.66,"], "10.0.0.1"),
            ("10.0.0.1:1", vec!["évil"], "10.0.0.1"),
            ("[fd00::1]:1", vec!["[2001:db8::1]:80"], "2001:db8::1"),
            ("[fd00::1]:1", vec!["2001:db8::1"], "2001:db8::1"),
        ] {
            let found = proxies().client(peer.parse().expect("an address"), &headers(&X_FORWARDED_FOR, &values));
            assert_eq!(found.to_string(), expected, "{peer} {values:?}");
        }
    }

    #[test]
    fn standard_header_is_read_alike() {
        let proxies = proxies().forwarded();
        for (value, expected) in [
            ("for=192.0.2.66, for=198.51.100.1;proto=https", "198.51.100.1"),
            (r#"For="[2001:db8::1]:4711";by=10.0.0.1"#, "2001:db8::1"),
            ("for=198.51.100.1, For=10.1.1.1", "198.51.100.1"),
            ("for=198.51.100.1;for=192.0.2.66", "10.0.0.1"),
            ("for=192.0.2.66, for=_hidden", "10.0.0.1"),
            ("for=192.0.2.66, proto=https", "10.0.0.1"),
            (r#"for="192.0.2.66, for=198.51.100.1""#, "10.0.0.1"),
        ] {
            let found =
                proxies.client("10.0.0.1:1".parse().expect("an address"), &headers(&header::FORWARDED, &[value]));
            assert_eq!(found.to_string(), expected, "{value}");
        }
    }

    #[test]
    fn the_other_header_is_ignored() {
        let peer = "10.0.0.1:1".parse().expect("an address");
        let standard = headers(&header::FORWARDED, &["for=198.51.100.1"]);
        assert_eq!(proxies().client(peer, &standard).to_string(), "10.0.0.1");
        let other = headers(&X_FORWARDED_FOR, &["198.51.100.1"]);
        assert_eq!(proxies().forwarded().client(peer, &other).to_string(), "10.0.0.1");
    }
}
