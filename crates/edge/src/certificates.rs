//! Certificates by host name, which can be exchanged while connections come.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use instant_acme::CertificateIdentifier;
use tokio_rustls::rustls::crypto::aws_lc_rs::{Ticketer, default_provider, kx_group};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, Der, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};
use tollhouse_web::pem;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::acme::{ACME_TLS, Challenges, is_look};
use crate::error::EdgeError;

/// What is spoken inside of TLS, best first (RFC 7301), and what an authority speaks that looks whether a name is ours.
const PROTOCOLS: [&[u8]; 3] = [b"h2", b"http/1.1", ACME_TLS];
/// A file without one.
const NONE: &str = "there is no certificate in it";
/// Sessions remembered for clients of TLS 1.2 that take no tickets.
const SESSIONS_MAX: usize = 4_096;

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    certified: Arc<CertifiedKey>,
    own: Own,
}

/// What a certificate says of itself.
#[derive(Clone, Debug)]
struct Own {
    names: Vec<String>,
    begins: i64,
    ends: i64,
    /// By which its authority knows it (RFC 9773, section 4.1).
    identifier: Option<CertificateIdentifier<'static>>,
}

impl Certificate {
    /// Reads both from PEM files, so it blocks. One that has ended, or is for another name, is taken all the same: no certificate
    /// would be worse.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, EdgeError> {
        let chain = pem::certificates(cert)?;
        let useless = |why: String| EdgeError::Unreadable { path: cert.to_owned(), why };
        let own = chain.first().map_or_else(|| Err(NONE.to_owned()), read_own).map_err(useless)?;
        let private = pem::private_key(key)?;
        let unfit = |why| EdgeError::Unfit { cert: cert.to_owned(), key: key.to_owned(), why };
        let certified = CertifiedKey::from_der(chain, private, &default_provider()).map_err(unfit)?;
        Ok(Self { certified: Arc::new(certified), own })
    }

    /// Reads both from one text in PEM.
    pub(crate) fn from_pem(text: &str) -> Result<Self, String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let chain = chain.map_err(|error| format!("not PEM ({error:?})"))?;
        let own = read_own(chain.first().ok_or(NONE)?)?;
        let private = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| format!("no key ({error:?})"))?;
        let certified = CertifiedKey::from_der(chain, private, &default_provider());
        Ok(Self { certified: Arc::new(certified.map_err(|error| error.to_string())?), own })
    }

    /// From when it is valid, in seconds since 1970.
    pub(crate) fn begins(&self) -> i64 {
        self.own.begins
    }

    /// By which its authority knows it, if it can be known.
    pub(crate) fn identifier(&self) -> Option<&CertificateIdentifier<'static>> {
        self.own.identifier.as_ref()
    }

    /// When it ends, in seconds since 1970.
    pub fn ends(&self) -> i64 {
        self.own.ends
    }

    /// Whether it is for this host name (RFC 6125, section 6.4.3: a star stands for the leftmost label).
    pub fn is_for(&self, host: &str) -> bool {
        self.own.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
            None => host.eq_ignore_ascii_case(name),
        })
    }
}

fn read_own(der: &CertificateDer<'_>) -> Result<Own, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| "not a certificate (X.509)".to_owned())?;
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names = alternative.map_or(&[][..], |extension| &extension.value.general_names);
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    let authority = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref(),
        _ => None,
    });
    let identifier = authority.map(|authority| {
        let serial = Der::from_slice(certificate.raw_serial());
        CertificateIdentifier::new(Der::from_slice(authority.0), serial).into_owned()
    });
    let validity = certificate.validity();
    Ok(Own {
        names: names.collect(),
        begins: validity.not_before.timestamp(),
        ends: validity.not_after.timestamp(),
        identifier,
    })
}

/// How TLS is spoken.
pub type Tls = Arc<ServerConfig>;

/// What TLS shows, by the name that a client asks for.
#[derive(Debug, Default)]
pub struct Certificates {
    shown: RwLock<Arc<Shown>>,
    challenges: Arc<Challenges>,
}

#[derive(Debug, Default)]
struct Shown {
    by_host: HashMap<String, Arc<CertifiedKey>>,
    /// For whoever asks for no name: who comes by an address.
    first: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// None yet. Authorities that look whether a name is ours are shown what they look for.
    pub fn new(challenges: Arc<Challenges>) -> Self {
        Self { shown: RwLock::default(), challenges }
    }

    /// Shows these from the next handshake on, each for its host name, and no others.
    pub fn show<'a>(&self, certificates: impl IntoIterator<Item = (&'a str, &'a Certificate)>) {
        let mut shown = Shown::default();
        for (host, certificate) in certificates {
            shown.first.get_or_insert_with(|| certificate.certified.clone());
            shown.by_host.insert(host.to_owned(), certificate.certified.clone());
        }
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
    }

    /// TLS 1.2 and 1.3 with these certificates; HTTP/2 and HTTP/1.1; the hybrid of ML-KEM and X25519 first
    /// (draft-ietf-tls-ecdhe-mlkem); tickets whose keys change every few hours. Whoever asks for a name that is not here gets no
    /// certificate, but an alert.
    pub fn tls(self: &Arc<Self>) -> Result<Tls, EdgeError> {
        let mut provider = default_provider();
        provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
        let builder = ServerConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        // All are good; a server that has an order of its own is what auditors ask for.
        config.ignore_client_order = true;
        config.ticketer = Ticketer::new()?;
        config.session_storage = rustls::server::ServerSessionMemoryCache::new(SESSIONS_MAX);
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if is_look(&hello) {
            return self.challenges.certificate(hello.server_name());
        }
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner).clone();
        match hello.server_name() {
            Some(name) => shown.by_host.get(&name.trim_end_matches('.').to_ascii_lowercase()).cloned(),
            None => shown.first.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::generate_simple_self_signed;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{
        ClientConfig, ClientConnection, NamedGroup, ProtocolVersion, RootCertStore, ServerConnection,
    };

    use super::*;

    /// A handshake in memory; what a client of this name ends up with.
    fn meet(
        server: &Arc<ServerConfig>,
        client: &Arc<ClientConfig>,
        name: &'static str,
    ) -> Result<ClientConnection, rustls::Error> {
        let mut client = ClientConnection::new(client.clone(), ServerName::try_from(name).unwrap())?;
        let mut server = ServerConnection::new(server.clone())?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            server.read_tls(&mut wire.as_slice()).unwrap();
            let heard = server.process_new_packets();
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            heard?;
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(client)
    }

    #[test]
    fn each_name_gets_its_certificate_and_the_hybrid_is_offered() {
        let dir = tempfile::tempdir().unwrap();
        let mut roots = RootCertStore::empty();
        let read = ["a.example", "b.example"].map(|name| {
            let made = generate_simple_self_signed([name.to_owned()]).unwrap();
            roots.add(made.cert.der().clone()).unwrap();
            let (cert, key) = (dir.path().join(name), dir.path().join("key"));
            fs::write(&cert, made.cert.pem()).unwrap();
            fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            (name, Certificate::read(&cert, &key).unwrap())
        });
        let certificates = Arc::new(Certificates::default());
        let server = certificates.tls().unwrap();
        // As today's browsers.
        let mut provider = default_provider();
        provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let mut client =
            builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
        let client = Arc::new(client);
        assert!(meet(&server, &client, "a.example").is_err(), "nothing is shown yet");
        certificates.show(read.iter().map(|(name, certificate)| (*name, certificate)));
        for name in ["a.example", "B.example"] {
            let met = meet(&server, &client, name).unwrap();
            assert_eq!(met.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
            assert_eq!(met.protocol_version(), Some(ProtocolVersion::TLSv1_3));
            assert_eq!(met.alpn_protocol(), Some(&b"h2"[..]));
        }
        assert!(meet(&server, &client, "c.example").is_err(), "no certificate of another name");
        certificates.show(read[..1].iter().map(|(name, certificate)| (*name, certificate)));
        assert!(meet(&server, &client, "b.example").is_err(), "it is shown no more");
    }

    #[test]
    fn files_are_taken_or_it_is_said_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let made = generate_simple_self_signed(["a.example".to_owned(), "*.b.example".to_owned()]).unwrap();
        let other = generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (cert, key) = (file("cert", &made.cert.pem()), file("key", &made.signing_key.serialize_pem()));
        let other = file("other", &other.signing_key.serialize_pem());
        let (empty, missing) = (file("empty", "nothing\n"), dir.path().join("missing"));
        let read = Certificate::read(&cert, &key).unwrap();
        for (host, is_its) in [
            ("a.example", true),
            ("A.Example", true),
            ("x.b.example", true),
            ("x.y.b.example", false),
            ("b.example", false),
        ] {
            assert_eq!(read.is_for(host), is_its, "{host}");
        }
        for (cert, key, expected) in [
            (&missing, &key, "missing: No such file or directory"),
            (&empty, &key, "empty: there is no certificate in it"),
            (&cert, &cert, "cert: there is no private key in it"),
            (&cert, &other, "keys may not be consistent"),
        ] {
            let error = Certificate::read(cert, key).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
