//! The open connections of each client address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts the open connections of each address, up to a limit.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The place of one connection. Frees it when dropped.
#[derive(Debug)]
pub(super) struct Place {
    /// `None` for addresses without a limit.
    of: Option<IpAddr>,
    addresses: Addresses,
}

impl Addresses {
    /// Allows `most` connections from each address.
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from an address without a limit.
    pub(super) fn unlimited(&self) -> Place {
        Place { of: None, addresses: self.clone() }
    }

    /// Takes a place for a connection; `None` if the address has no more. The loopback addresses have no limit: what connects
    /// from there, such as a proxy beside the broker, has many clients.
    pub(super) fn place(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        if address.is_loopback() {
            return Some(self.unlimited());
        }
        let mut open = self.open();
        let count = open.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Place { of: Some(address), addresses: self.clone() })
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, in which a client can choose its address.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        canonical => canonical,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.of else {
            return;
        };
        let mut open = self.addresses.open();
        if let Some(count) = open.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_an_address_are_limited() {
        let addresses = Addresses::new(2);
        let place = |text: &str| addresses.place(text.parse().expect("an address"));
        let held: Vec<_> =
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::ffff:0:1"].map(place).into();
        assert!(held.iter().all(Option::is_some));
        for (text, is_free) in [
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("2001:db8::2", false),
            ("2001:db8:0:1::2", true),
            ("192.0.2.2", true),
            ("192.0.2.3", true),
        ] {
            assert_eq!(place(text).is_some(), is_free, "{text}");
        }
        let loopback: Vec<_> = (0..5).map(|_| place("127.0.0.1")).chain([place("::1")]).collect();
        assert!(loopback.iter().all(Option::is_some));
        drop(held);
        assert!(place("192.0.2.1").is_some());
        assert!(addresses.open().is_empty(), "nothing is kept of addresses without connections");
    }
}
