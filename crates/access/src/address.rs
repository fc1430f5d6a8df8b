//! Client addresses: whose they really are, and whether they may come in.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::{IpNet, Ipv6Net};

/// Header in which proxies tell for whom they ask.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Networks that are let in; an empty list lets everybody in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddressList(Vec<IpNet>);

impl AddressList {
    /// A list of networks; single addresses are networks of one.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into_iter().map(canonical).collect())
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the list is empty or holds the address.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.0.is_empty() || self.holds(address)
    }

    /// Whether the address stands in the list.
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// An IPv4 network written as IPv6 (`::ffff:10.0.0.0/104`) is that IPv4 network, as its addresses are.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    match network.addr().to_canonical() {
        IpAddr::V4(address) if network.prefix_len() >= MAPPED_BITS && network.addr().is_ipv6() => {
            IpNet::new_assert(address.into(), network.prefix_len() - MAPPED_BITS)
        }
        _ => network,
    }
}

/// The network that counts as one client where addresses are limited: an IPv4 address, the `/64` of an IPv6 address (one
/// household or server has at least that many).
pub fn bucket(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(address) => IpNet::V4(address.into()),
        IpAddr::V6(address) => IpNet::V6(Ipv6Net::new_assert(address, 64).trunc()),
    }
}

/// The client's address: the peer itself unless it is a trusted proxy; then the right-most address of
/// `X-Forwarded-For` that is not a trusted proxy. A list that cannot be read ends at the last proxy that could: what is
/// left of it is a claim of somebody unknown.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &AddressList) -> IpAddr {
    let mut client = peer.to_canonical();
    if trusted.is_empty() {
        return client;
    }
    let values: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or("")).collect();
    let mut hops = values.iter().rev().flat_map(|value| value.rsplit(','));
    while trusted.holds(client) {
        let Some(Ok(hop)) = hops.next().map(|hop| parse_hop(hop.trim())) else { break };
        client = hop;
    }
    client
}

/// One entry of `X-Forwarded-For`: an address, with or without port and brackets.
fn parse_hop(hop: &str) -> Result<IpAddr, std::net::AddrParseError> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(hop, |(address, _)| address);
    bare.parse::<IpAddr>()
        .or_else(|error| bare.parse::<std::net::SocketAddr>().map(|with_port| with_port.ip()).map_err(|_| error))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn list(networks: &[&str]) -> AddressList {
        AddressList::new(networks.iter().map(|network| network.parse().unwrap()).collect())
    }

    fn client(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        client_address(peer.parse().unwrap(), &headers, &list(trusted)).to_string()
    }

    #[test]
    fn networks_with_prefix_and_mapped_addresses() {
        let allowed = list(&["127.0.0.1/32", "10.0.0.0/16", "fd00::/8"]);
        for address in ["127.0.0.1", "10.0.255.1", "::ffff:10.0.0.1", "fd12::1"] {
            assert!(allowed.admits(address.parse().unwrap()), "{address}");
        }
        for address in ["127.0.0.2", "10.1.0.1", "::1", "192.168.0.1"] {
            assert!(!allowed.admits(address.parse().unwrap()), "{address}");
        }
        let mapped = list(&["::ffff:127.0.0.1/128", "::ffff:10.0.0.0/104"]);
        assert!(mapped.admits("127.0.0.1".parse().unwrap()) && mapped.admits("10.9.9.9".parse().unwrap()));
        assert!(!mapped.admits("127.0.0.2".parse().unwrap()));
        assert!(AddressList::default().admits("8.8.8.8".parse().unwrap()));
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_client() {
        let cases = [
            ("1.2.3.4", "1.2.3.4/32"),
            ("::ffff:1.2.3.4", "1.2.3.4/32"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ];
        for (address, network) in cases {
            assert_eq!(bucket(address.parse().unwrap()).to_string(), network, "{address}");
        }
    }

    #[test]
    fn without_trusted_proxies_the_header_is_a_mere_claim() {
        assert_eq!(client("1.2.3.4", &["10.0.0.1"], &[]), "1.2.3.4");
        assert_eq!(client("1.2.3.4", &["10.0.0.1"], &["127.0.0.1/32"]), "1.2.3.4");
    }

    #[test]
    fn behind_proxies_the_right_most_untrusted_address_counts() {
        let trusted = &["127.0.0.1/32", "10.0.0.0/8"];
        assert_eq!(client("127.0.0.1", &["6.6.6.6, 8.8.8.8"], trusted), "8.8.8.8");
        assert_eq!(client("127.0.0.1", &["6.6.6.6, 8.8.8.8, 10.0.0.7"], trusted), "8.8.8.8");
        assert_eq!(client("127.0.0.1", &["6.6.6.6", "8.8.8.8"], trusted), "8.8.8.8");
        assert_eq!(client("127.0.0.1", &["8.8.8.8:4711"], trusted), "8.8.8.8");
        assert_eq!(client("127.0.0.1", &["[2001:db8::1]:443"], trusted), "2001:db8::1");
        assert_eq!(client("127.0.0.1", &[], trusted), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &["8.8.8.8, junk"], trusted), "127.0.0.1", "junk hides what is left of it");
        assert_eq!(client("::ffff:127.0.0.1", &["8.8.8.8"], trusted), "8.8.8.8");
    }
}
