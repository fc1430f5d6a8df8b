//! TLS on the one port: nothing else, either protocol inside, and client certificates if they are demanded.

use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tollhouse_collect::net::ListenOptions;
use tollhouse_testkit::{LumberjackClient, Packing, lumberjack_window};

use crate::common::{Collector, read_to_end, texts};

/// An authority, and what it has signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        Arc::new(roots)
    }

    fn server(&self, demands_certificate: bool) -> ListenOptions {
        let (chain, key) = self.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let builder = if demands_certificate {
            ServerConfig::builder()
                .with_client_cert_verifier(WebPkiClientVerifier::builder(self.roots()).build().unwrap())
        } else {
            ServerConfig::builder().with_no_client_auth()
        };
        let config = builder.with_single_cert(chain, key).unwrap();
        ListenOptions { tls: Some(Arc::new(config)), ..ListenOptions::default() }
    }

    async fn connect(&self, collector: &Collector, identity: Option<Identity>) -> TlsStream<tokio::net::TcpStream> {
        let builder = ClientConfig::builder().with_root_certificates(self.roots());
        let config = match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, collector.connect().await).await.unwrap()
    }
}

#[tokio::test]
async fn both_protocols_are_spoken_inside_tls() {
    let authority = Authority::new();
    let (collector, journal, _keeper) = Collector::keeping(authority.server(false)).await;
    let mut beats = LumberjackClient::over(authority.connect(&collector, None).await);
    for _ in 0..20 {
        let events = vec!["x".repeat(10_000); 50];
        beats.send(&lumberjack_window(&events, Packing::Plain)).await.unwrap();
        beats.acknowledged(50).await.unwrap();
    }
    assert_eq!(beats.close().await.unwrap(), b"");
    let mut syslog = authority.connect(&collector, None).await;
    syslog.write_all(b"5 <13>a5 <13>b").await.unwrap();
    syslog.shutdown().await.unwrap();
    read_to_end(&mut syslog).await;
    collector.until(|counts| counts.confirmed == 1_002 && counts.open == 0).await;
    assert_eq!(texts(&journal)[1_000..], ["<13>a", "<13>b"]);
}

#[tokio::test]
async fn nothing_is_taken_that_is_not_encrypted() {
    let authority = Authority::new();
    let (collector, journal, _keeper) = Collector::keeping(authority.server(false)).await;
    collector.say(b"<13>a\n").await;
    collector.say(b"\x16\x03\x01\x00\x02no").await;
    let counts = collector.until(|counts| counts.closed["unencrypted"] + counts.closed["handshake"] == 2).await;
    assert_eq!((counts.closed["unencrypted"], counts.closed["handshake"]), (1, 1));
    assert!(texts(&journal).is_empty());
}

#[tokio::test]
async fn a_client_certificate_is_demanded_and_named() {
    let authority = Authority::new();
    let (collector, mut from) = Collector::start(authority.server(true), 4).await;
    let identity = authority.sign("sender", ExtendedKeyUsagePurpose::ClientAuth);
    let certificate = identity.0[0].clone();
    let mut known = authority.connect(&collector, Some(identity)).await;
    known.write_all(b"<13>a\n").await.unwrap();
    let received = from.recv().await.unwrap();
    let named = received.transport.certificate_sha256.as_deref().unwrap();
    let pairs = named.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    assert_eq!(bytes, Sha256::digest(&certificate).as_slice());
    assert!(received.transport.is_encrypted);

    // In TLS 1.3 a client learns only by the next bytes that it is not wanted.
    let mut unknown = authority.connect(&collector, None).await;
    let _ = unknown.write_all(b"<13>b\n").await;
    read_to_end(&mut unknown).await;
    let counts = collector.until(|counts| counts.closed["handshake"] == 1).await;
    assert_eq!(counts.syslog_tcp, 1);
}
