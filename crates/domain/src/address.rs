//! Which network addresses Tollgate may be told to connect to.
//!
//! Providers are configured through the API, so their addresses are input: nobody may use a provider to reach the
//! metadata service of a cloud host, and a public name must not quietly lead into the private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address may be trusted as a provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressClass {
    /// On the internet.
    Public,
    /// Loopback, private or otherwise not routed on the internet: allowed when it was written out, or by switch.
    Private,
    /// Link-local, a cloud's metadata service, multicast, unspecified: never allowed.
    Forbidden,
}

/// Addresses outside the link-local ranges at which clouds serve credentials to their machines.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// As [`METADATA_V4`].
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

impl AddressClass {
    /// The class of `address`. An IPv6 address that carries an IPv4 one inside has the stricter class of the two, so that
    /// no spelling gets around the check.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }

    /// Whether a provider may be reached there: `is_written_out` when the base URL holds the address itself,
    /// `allow_private` when the provider's settings let names resolve to private addresses.
    pub const fn is_allowed(self, is_written_out: bool, allow_private: bool) -> bool {
        match self {
            Self::Public => true,
            Self::Private => is_written_out || allow_private,
            Self::Forbidden => false,
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressClass {
    let [a, b, c, _] = address.octets();
    if address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || a == 0
        || METADATA_V4.contains(&address)
    {
        return AddressClass::Forbidden;
    }
    let is_private = address.is_loopback()
        || address.is_private()
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b)) // carrier-grade NAT
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 198 && (b == 18 || b == 19)) // benchmarks
        || a >= 240; // reserved
    if is_private {
        AddressClass::Private
    } else {
        AddressClass::Public
    }
}

fn of_v6(address: Ipv6Addr) -> AddressClass {
    if address == Ipv6Addr::LOCALHOST {
        return AddressClass::Private;
    }
    let segments = address.segments();
    let is_forbidden = address.is_unspecified()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || METADATA_V6.contains(&address);
    if is_forbidden {
        return AddressClass::Forbidden;
    }
    let is_private = address.is_unique_local()
        || (segments[0] & 0xffc0) == 0xfec0 // site-local, deprecated
        || (segments[0] == 0x2001 && segments[1] == 0xdb8) // documentation
        || segments[0] == 0x100; // discard-only
    let own = if is_private {
        AddressClass::Private
    } else {
        AddressClass::Public
    };
    embedded_v4(segments).map_or(own, |inner| own.max(of_v4(inner)))
}

/// The IPv4 address that the translation and tunnel formats of IPv6 carry.
fn embedded_v4(segments: [u16; 8]) -> Option<Ipv4Addr> {
    let at = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        // Mapped, translated, the old compatible form; NAT64 with the well-known and the local prefix.
        [0, 0, 0, 0, 0 | 0xffff, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0 | 1, .., high, low]
        // 6to4.
        | [0x2002, high, low, ..] => Some(at(high, low)),
        // Teredo: the client's address, inverted.
        [0x2001, 0, .., high, low] => Some(at(!high, !low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], expect: AddressClass) {
        for text in addresses {
            assert_eq!(AddressClass::of(text.parse().unwrap()), expect, "{text}");
        }
    }

    #[test]
    fn addresses_are_classed() {
        check(
            &["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"],
            AddressClass::Public,
        );
        check(
            &[
                "127.0.0.1",
                "127.8.8.8",
                "10.0.0.1",
                "172.16.0.1",
                "192.168.1.1",
                "100.64.0.1",
                "198.18.0.1",
                "::1",
                "fd12:3456::1",
                "fec0::1",
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "64:ff9b::a00:1",
                "2002:c0a8:101::1",
            ],
            AddressClass::Private,
        );
        check(
            &[
                "169.254.169.254",
                "169.254.0.1",
                "0.0.0.0",
                "0.1.2.3",
                "255.255.255.255",
                "224.0.0.1",
                "100.100.100.200",
                "168.63.129.16",
                "fe80::1",
                "::",
                "ff02::1",
                "fd00:ec2::254",
                "fd20:ce::254",
            ],
            AddressClass::Forbidden,
        );
    }

    #[test]
    fn no_spelling_of_the_metadata_address_passes() {
        check(
            &[
                "::ffff:169.254.169.254",
                "::169.254.169.254",
                "::ffff:0:169.254.169.254",
                "64:ff9b::169.254.169.254",
                "64:ff9b:1::169.254.169.254",
                "2002:a9fe:a9fe::",
                "2001:0:1234::5601:5601",
            ],
            AddressClass::Forbidden,
        );
    }

    #[test]
    fn private_addresses_need_to_be_meant() {
        assert!(AddressClass::Public.is_allowed(false, false));
        assert!(!AddressClass::Private.is_allowed(false, false));
        assert!(AddressClass::Private.is_allowed(true, false));
        assert!(AddressClass::Private.is_allowed(false, true));
        assert!(!AddressClass::Forbidden.is_allowed(true, true));
    }
}
