//! Certificates: how many days they are still good, and whether clients will believe them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tollhouse_outbound::Trust;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::alone::Alone;
use crate::finding::{Finding, Outcome, cut, round1};
use crate::http::TOLD_CHARS_MAX;
use crate::said::Said;

/// How long connecting and the handshake may take together.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Certificates of a chain that are looked at.
const CHAIN_MAX: usize = 16;

/// Which certificate, and when it is told of.
#[derive(Clone, Debug)]
pub struct CertificateLook {
    /// Where it is.
    pub place: CertificatePlace,
    /// Authorities that it may come from, beside the system's (PEM).
    pub ca: Option<PathBuf>,
    /// It is told of so long before its end.
    pub before: Duration,
}

/// Where a certificate is.
#[derive(Clone, Debug)]
pub enum CertificatePlace {
    /// Served there, for this name.
    Served {
        /// Name or address that is connected to.
        host: String,
        /// Its port.
        port: u16,
        /// The name that it has to be for.
        name: String,
    },
    /// In this file (PEM).
    File(PathBuf),
}

/// A probe of a certificate.
#[derive(Debug)]
pub(crate) struct CertificateProbe {
    look: CertificateLook,
    alone: Alone,
}

/// A chain as it was seen, and why clients would not believe it.
struct Seen {
    chain: Vec<CertificateDer<'static>>,
    doubt: Option<Doubt>,
}

/// Why clients would not believe a chain.
#[derive(Clone, Debug, PartialEq)]
enum Doubt {
    /// It is for other names than the one that was asked for.
    Name,
    /// Another reason.
    Said(Said),
}

impl CertificateProbe {
    pub(crate) fn new(look: CertificateLook) -> Self {
        Self { look, alone: Alone::new() }
    }

    pub(crate) fn about(&self) -> Said {
        match &self.look.place {
            CertificatePlace::Served { host, port, name } if host == name => {
                Said::LooksServed { address: format!("{host}:{port}") }
            }
            CertificatePlace::Served { host, port, name } => {
                Said::LooksServedFor { address: format!("{host}:{port}"), name: name.clone() }
            }
            CertificatePlace::File(path) => Said::LooksFile { path: path.display().to_string() },
        }
    }

    pub(crate) async fn run(&self, now: Timestamp) -> Finding {
        let look = self.look.clone();
        let seen = match &self.look.place {
            CertificatePlace::Served { host, port, name } => {
                let ca = look.ca.clone();
                // The system's authorities are files; they may have been renewed since the last time.
                let roots = self.alone.run(move || roots(ca.as_deref())).await;
                match roots {
                    Ok(roots) => served(host, *port, name, roots).await,
                    Err(why) => Err(Said::words(why)),
                }
            }
            CertificatePlace::File(path) => {
                let (path, shown) = (path.clone(), path.display().to_string());
                let chain = self.alone.run(move || read_chain(&path)).await;
                let hidden = |error| Said::CertificateHidden { path: shown, error };
                chain.map(|chain| Seen { chain, doubt: None }).map_err(hidden)
            }
        };
        match seen.and_then(|seen| judge(&seen, now, look.before)) {
            Ok(finding) => finding,
            Err(why) => Finding::fault(why),
        }
    }
}

/// The system's authorities, and those of a file. Reads files, so it blocks.
fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = Trust::SystemIfAny.roots().map_err(|error| error.to_string())?;
    let chain = ca.map(|ca| read_chain(ca).map_err(|error| format!("{} cannot be read: {error}", ca.display())));
    for certificate in chain.transpose()?.unwrap_or_default() {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).take(CHAIN_MAX).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("there is no certificate in it (PEM)".to_owned()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(error.to_string()),
    }
}

/// Connects, takes whatever is served, and says whether clients would.
async fn served(host: &str, port: u16, name: &str, roots: RootCertStore) -> Result<Seen, Said> {
    let address = format!("{host}:{port}");
    let provider = Arc::new(default_provider());
    let server_name =
        ServerName::try_from(name.to_owned()).map_err(|_| Said::words(format!("{name} is no name of a server")))?;
    let look = Arc::new(Look { provider: provider.clone(), roots, seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Said::words(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(look.clone())
        .with_no_client_auth();
    let handshake = async {
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|error| Said::PortAway { address: address.clone(), error: told(&error) })?;
        let connected = TlsConnector::from(Arc::new(config)).connect(server_name, stream).await;
        connected.map(drop).map_err(|error| Said::CertificateNoTls { address: address.clone(), error: told(&error) })
    };
    let ended = tokio::time::timeout(HANDSHAKE_TIME_MAX, handshake).await;
    // Seen is seen, however the handshake ended then: a server may want a certificate of us.
    if let Some(seen) = look.seen.lock().expect("no panic while the lock is held").take() {
        return Ok(seen);
    }
    match ended {
        Ok(Ok(())) => Err(Said::CertificateNone { address }),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(Said::CertificateLate { address, limit_s: HANDSHAKE_TIME_MAX.as_secs() }),
    }
}

/// Takes note of any chain and lets it pass: nothing is ever sent over such a connection.
#[derive(Debug)]
struct Look {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    seen: Mutex<Option<Seen>>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen").field("certificates", &self.chain.len()).field("doubt", &self.doubt).finish()
    }
}

impl ServerCertVerifier for Look {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots.clone()), self.provider.clone()).build();
        let doubt = match verifier {
            Ok(verifier) => verifier
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .err()
                .map(|error| doubt_of(&error)),
            Err(_) => Some(Doubt::Said(Said::DoubtAuthorities {})),
        };
        let chain = [end_entity].into_iter().chain(intermediates).take(CHAIN_MAX);
        let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        *self.seen.lock().expect("no panic while the lock is held") = Some(Seen { chain, doubt });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Why clients do not believe a chain.
fn doubt_of(error: &Error) -> Doubt {
    use tokio_rustls::rustls::CertificateError as Bad;
    let Error::InvalidCertificate(bad) = error else { return Doubt::Said(Said::words(error.to_string())) };
    Doubt::Said(match bad {
        Bad::UnknownIssuer => Said::DoubtIssuer {},
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => return Doubt::Name,
        Bad::Expired | Bad::ExpiredContext { .. } => Said::DoubtOver {},
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => Said::DoubtEarly {},
        Bad::Revoked => Said::DoubtRevoked {},
        other => Said::words(format!("{other:?}")),
    })
}

/// An error of the network, short enough for a sentence.
fn told(error: &std::io::Error) -> String {
    cut(&error.to_string(), TOLD_CHARS_MAX)
}

/// The earliest end in the chain counts.
fn judge(seen: &Seen, now: Timestamp, before: Duration) -> Result<Finding, Said> {
    let mut ends: Option<(i64, String)> = None;
    let mut first = None;
    for (at, der) in seen.chain.iter().enumerate() {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| Said::words(format!("no certificate: {error}")))?;
        let (subject, end) = (certificate.subject().to_string(), certificate.validity().not_after.timestamp());
        // The names of a server stand beside its subject, which is often empty.
        let names =
            certificate.subject_alternative_name().ok().flatten().map(|names| names_of(&names.value.general_names));
        if at == 0 {
            first = Some((subject.clone(), certificate.issuer().to_string(), names));
        }
        if ends.as_ref().is_none_or(|(earliest, _)| end < *earliest) {
            ends = Some((end, subject));
        }
    }
    let ((end, whose), (subject, issuer, names)) =
        ends.zip(first).ok_or_else(|| Said::words("there is no certificate"))?;
    let days_left = round1((end - now.as_second()) as f64 / 86_400.0);
    let until = Timestamp::from_second(end).map(|end| end.to_string()).unwrap_or_default();
    let of = (whose != subject).then_some(Said::CertificateOf { subject: whose });
    let days_before = before.as_secs() as f64 / 86_400.0;
    let ends = Said::CertificateEnds { days: days_left, until: until.clone() };
    let (outcome, said) = match &seen.doubt {
        _ if days_left <= 0.0 => {
            (Outcome::Fault, [Said::CertificateOver { until: until.clone() }].into_iter().chain(of).collect())
        }
        Some(doubt) => {
            let why = match doubt {
                Doubt::Name => Said::DoubtName { names: names.clone().unwrap_or_else(|| subject.clone()) },
                Doubt::Said(why) => why.clone(),
            };
            (Outcome::Fault, vec![Said::CertificateDoubt {}, why])
        }
        None if days_left <= days_before / 3.0 => (Outcome::Fault, [ends].into_iter().chain(of).collect()),
        None if days_left <= days_before => (Outcome::Warn, [ends].into_iter().chain(of).collect()),
        None => (Outcome::Ok, vec![Said::CertificateGood { days: days_left }]),
    };
    Ok(Finding::of(outcome, said)
        .field("days_left", days_left)
        .field("not_after", until)
        .field("subject", cut(names.as_deref().unwrap_or(&subject), TOLD_CHARS_MAX))
        .field("issuer", cut(&issuer, TOLD_CHARS_MAX)))
}

fn names_of(names: &[x509_parser::extensions::GeneralName<'_>]) -> String {
    use x509_parser::extensions::GeneralName;
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from);
            let address = v4.or_else(|| <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from));
            address.map(|address| address.to_string())
        }
        _ => None,
    };
    names.iter().filter_map(name).take(CHAIN_MAX).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;

    /// An authority, and a certificate of it for `localhost` that ends then.
    struct Made {
        ca_pem: String,
        chain_pem: String,
        chain: Vec<CertificateDer<'static>>,
        key: Vec<u8>,
    }

    fn make(year: i32) -> Made {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &ca).unwrap();
        Made {
            ca_pem: ca.pem(),
            chain_pem: certificate.pem(),
            chain: vec![certificate.der().clone()],
            key: key.serialize_der(),
        }
    }

    async fn serve(made: &Made) -> u16 {
        let key = PrivateKeyDer::try_from(made.key.clone()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(made.chain.clone(), key)
            .unwrap();
        let (listener, acceptor) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TlsAcceptor::from(Arc::new(config)));
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _: Result<_, _> = acceptor.accept(stream).await;
            }
        });
        port
    }

    fn probe(place: CertificatePlace, ca: Option<PathBuf>) -> CertificateProbe {
        CertificateProbe::new(CertificateLook { place, ca, before: Duration::from_secs(21 * 86_400) })
    }

    #[tokio::test]
    async fn served_certificates_are_judged_as_clients_would() {
        let dir = tempfile::tempdir().unwrap();
        let (made, ca) = (make(2090), dir.path().join("ca.pem"));
        std::fs::write(&ca, &made.ca_pem).unwrap();
        let port = serve(&made).await;
        let at = |name: &str| CertificatePlace::Served { host: "127.0.0.1".into(), port, name: name.into() };
        let now = Timestamp::now();

        let good = probe(at("localhost"), Some(ca.clone())).run(now).await;
        assert_eq!(good.outcome, Outcome::Ok, "{good:?}");
        assert!(good.fields["days_left"].as_f64().unwrap() > 10_000.0);
        assert_eq!(good.fields["subject"], "localhost");
        let other_name = probe(at("other.example.com"), Some(ca)).run(now).await;
        assert_eq!(other_name.outcome, Outcome::Fault);
        assert!(other_name.found().contains("another name: localhost"), "{other_name:?}");
        let unknown = probe(at("localhost"), None).run(now).await;
        assert!(unknown.found().contains("does not lead to a known authority"), "{unknown:?}");
        // Nothing listens on a port that was just closed.
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let place = CertificatePlace::Served { host: "127.0.0.1".into(), port: closed, name: "localhost".into() };
        assert!(probe(place, None).run(now).await.found().contains("cannot be reached"));
    }

    #[tokio::test]
    async fn files_are_told_of_before_they_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chain.pem");
        std::fs::write(&path, make(2030).chain_pem).unwrap();
        let probe = probe(CertificatePlace::File(path.clone()), None);
        for (now, outcome, part) in [
            ("2029-06-01T00:00:00Z", Outcome::Ok, "good for 214 days"),
            ("2029-12-20T00:00:00Z", Outcome::Warn, "ends in 12 days"),
            ("2029-12-28T00:00:00Z", Outcome::Fault, "ends in 4 days"),
            ("2030-01-03T00:00:00Z", Outcome::Fault, "over since 2030-01-01T00:00:00Z"),
        ] {
            let finding = probe.run(now.parse().unwrap()).await;
            assert_eq!(finding.outcome, outcome, "{finding:?}");
            assert!(finding.found().contains(part), "{finding:?}");
        }
        std::fs::write(&path, "no certificate").unwrap();
        assert!(probe.run(Timestamp::now()).await.found().contains("there is no certificate in it"));
        std::fs::remove_file(&path).unwrap();
        assert!(probe.run(Timestamp::now()).await.found().contains("cannot be read"));
    }
}
