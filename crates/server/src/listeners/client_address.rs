//! Who is really at the other end, when a reverse proxy stands between.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// The address of the client, and whether it was reached without any proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress {
    /// The peer of the socket, or what a trusted proxy says.
    pub(crate) ip: IpAddr,
    /// No forwarding header was there, so `ip` is the peer itself.
    pub(crate) is_direct: bool,
}

const FORWARDING: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

impl ClientAddress {
    /// Walks `X-Forwarded-For` from its end, where the nearest proxy wrote, past every proxy that is trusted. What an
    /// untrusted peer claims about itself is not believed.
    pub(crate) fn find(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_direct = !FORWARDING.iter().any(|name| headers.contains_key(*name));
        let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
        let mut ip = peer.to_canonical();
        if is_direct || trusted.is_empty() {
            return Self { ip, is_direct };
        }
        let hops = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect::<Vec<_>>();
        for hop in hops.into_iter().rev() {
            if !is_trusted(&ip) {
                break;
            }
            match hop.trim().parse::<IpAddr>() {
                Ok(next) => ip = next.to_canonical(),
                Err(_) => break,
            }
        }
        Self { ip, is_direct }
    }

    /// A program on this host, speaking to us itself.
    pub(crate) const fn is_local(self) -> bool {
        self.is_direct && self.ip.is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(peer: &str, forwarded: Option<&str>, trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        if let Some(value) = forwarded {
            headers.insert("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        ClientAddress::find(peer.parse().unwrap(), &headers, &trusted)
            .ip
            .to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let nets = ["10.0.0.0/8", "::1/128"];
        assert_eq!(find("203.0.113.9", Some("1.1.1.1"), &nets), "203.0.113.9");
        assert_eq!(find("10.0.0.1", Some("1.1.1.1"), &[]), "10.0.0.1");
        assert_eq!(find("10.0.0.1", Some("1.1.1.1"), &nets), "1.1.1.1");
        assert_eq!(find("::1", Some("1.1.1.1, 10.2.2.2"), &nets), "1.1.1.1");
        assert_eq!(find("10.0.0.1", None, &nets), "10.0.0.1");
    }

    #[test]
    fn a_client_cannot_write_its_own_beginning() {
        let nets = ["10.0.0.0/8"];
        assert_eq!(
            find("10.0.0.1", Some("6.6.6.6, 198.51.100.7"), &nets),
            "198.51.100.7"
        );
        assert_eq!(
            find("10.0.0.1", Some("6.6.6.6, nonsense"), &nets),
            "10.0.0.1"
        );
    }

    #[test]
    fn somebody_behind_a_proxy_is_not_local() {
        let mut headers = HeaderMap::new();
        let local = "127.0.0.1".parse().unwrap();
        assert!(ClientAddress::find(local, &headers, &[]).is_local());
        headers.insert("x-forwarded-for", "198.51.100.7".parse().unwrap());
        assert!(!ClientAddress::find(local, &headers, &[]).is_local());
    }
}
