//! Bounds of what is listened to.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio_rustls::rustls::ServerConfig;

/// Bounds of a listener.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// TLS: with it, nothing else is spoken on the TCP port. Whether clients must show a certificate is said by its verifier.
    pub tls: Option<Arc<ServerConfig>>,
    /// Networks from which may be sent; empty means everybody. A connection from elsewhere is closed before it is read, a
    /// datagram is thrown away.
    pub allow: Vec<IpNet>,
    /// Connections held at once; further ones wait in the system's backlog.
    pub connections_max: usize,
    /// Connections held at once by one address (IPv4) or network of 64 bits (IPv6); further ones are closed. 0 = any number.
    pub per_address_max: usize,
    /// How long a connection may take to say its first two bytes. Some senders connect long before they have something to say.
    pub first_bytes_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a connection is kept that says nothing. A peer that is gone is noticed earlier, by the system's own probes. It
    /// is long because a plain syslog sender may lose the message that it writes to a connection that was closed.
    pub idle_timeout: Duration,
    /// Bytes of a Beats event that are kept.
    pub event_bytes_max: usize,
    /// Bytes of a syslog message that are kept (RFC 5425 asks for 8,192 and demands 2,048).
    pub syslog_bytes_max: usize,
    /// What a compressed frame of Beats may become.
    pub unpacked_bytes_max: u64,
    /// Messages of a batch.
    pub batch_messages_max: usize,
    /// Bytes of a batch, not counting the message that reaches them.
    pub batch_bytes_max: usize,
    /// Batches of a connection that the consumer has not confirmed.
    pub unconfirmed_max: usize,
    /// Batches of more than 64 KiB in memory at once, of all connections together; a connection with a further one is not
    /// read until it has its share.
    pub large_batches_max: usize,
    /// Datagrams that wait for the consumer, and their bytes; further ones are dropped and counted.
    pub datagrams_max: usize,
    /// See [`Self::datagrams_max`].
    pub datagram_bytes_max: usize,
    /// How long an ending listener waits for what was begun: half of it for senders, all of it for the consumer.
    pub drain: Duration,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            tls: None,
            allow: Vec::new(),
            connections_max: 1_024,
            per_address_max: 128,
            first_bytes_timeout: Duration::from_secs(300),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(3_600),
            event_bytes_max: 4 << 20,
            syslog_bytes_max: 1 << 20,
            unpacked_bytes_max: 256 << 20,
            batch_messages_max: 2_048,
            batch_bytes_max: 512 << 10,
            unconfirmed_max: 4,
            large_batches_max: 32,
            datagrams_max: 16_384,
            datagram_bytes_max: 8 << 20,
            drain: Duration::from_secs(10),
        }
    }
}

impl ListenOptions {
    /// Whether this address may send.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_networks_may_send() {
        let anybody = ListenOptions::default();
        let allow = vec!["10.1.0.0/16".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let some = ListenOptions { allow, ..ListenOptions::default() };
        for (address, may) in
            [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.1", false), ("2001:db8::1", true), ("::1", false)]
        {
            let address = address.parse().unwrap();
            assert_eq!((anybody.admits(address), some.admits(address)), (true, may), "{address}");
        }
    }
}
