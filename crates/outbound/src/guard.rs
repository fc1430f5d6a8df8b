//! Which addresses are never connected to, and the resolver that keeps to it.
//!
//! A URL may come from somebody who may write the configuration but not read the machine's own secrets. What a
//! name leads to is looked at once, and that very address is the one connected to: a name that changes its
//! address in between (DNS rebinding) gains nothing. Networks of one's own and this machine are allowed: a mail server or a
//! webhook of the company stands there.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::net::lookup_host;
use tower::Service;

/// Metadata services of clouds beyond the link-local networks: Alibaba's and Azure's.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
/// Amazon's metadata service (EC2, ECS has the neighbour).
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)];

/// Whether nothing is ever sent there: link-local addresses (those of metadata services above all), groups, and none.
pub fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.octets()[0] == 0
                || METADATA_V4.contains(&address)
        }
        IpAddr::V6(address) => {
            if let Some(inner) = embedded(address) {
                return is_forbidden(inner.into());
            }
            address.is_unicast_link_local()
                || address.is_multicast()
                || address.is_unspecified()
                || METADATA_V6.contains(&address)
        }
    }
}

/// The IPv4 address that such an address leads to: mapped (RFC 4291) or behind NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            of(high, low)
        }
        _ => None,
    }
}

/// The addresses of a host, without those that are never connected to.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut found = 0;
    let mut allowed = Vec::new();
    for address in lookup_host((host, port)).await? {
        found += 1;
        if !is_forbidden(address.ip()) {
            allowed.push(address);
        }
    }
    match (found, allowed.is_empty()) {
        (0, _) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        (_, true) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the name leads to an address that nothing is sent to (link-local or a metadata service)",
        )),
        (_, false) => Ok(allowed),
    }
}

/// What an HTTP client (hyper's) asks for addresses: it gives those alone that may be sent to.
#[derive(Clone, Copy, Debug, Default)]
pub struct GuardedResolver;

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move { Ok(resolve(name.as_str(), 0).await?.into_iter()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_link_local_addresses_are_never_sent_to() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "fe80::1",
            "ff02::1",
            "::",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(is_forbidden(text.parse().unwrap()), "{text}");
        }
        for text in
            ["127.0.0.1", "10.0.0.5", "192.168.1.1", "100.64.0.1", "1.1.1.1", "::1", "fd12::1", "2606:4700::1111"]
        {
            assert!(!is_forbidden(text.parse().unwrap()), "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_there_is_refused() {
        let error = resolve("169.254.169.254", 80).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(resolve("[::1]", 25).await.unwrap(), ["[::1]:25".parse().unwrap()]);
    }
}
