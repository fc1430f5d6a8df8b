//! TLS of a listener, made of files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tollhouse_web::pem::{self, PemError};

/// Why files cannot be used for TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("reading {path}: {why}", path = path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no certificate in a file that should have some.
    #[error("there is no certificate in {}", .0.display())]
    Empty(PathBuf),
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("using certificate and key: {0}")]
    Unfit(#[from] rustls::Error),
    /// The authorities of clients cannot be used.
    #[error("using the authorities of clients' certificates: {0}")]
    Authorities(#[from] VerifierBuilderError),
}

/// TLS 1.2 and 1.3 with this certificate (and what leads to its authority) and key. With `client_ca`, a client must show a
/// certificate of one of these authorities. All files are PEM; this reads them and so it blocks.
pub fn server_tls(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let private = pem::private_key(key)?;
    Ok(Arc::new(builder.with_single_cert(certificates(cert)?, private)?))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = pem::certificates(path)?;
    if found.is_empty() {
        return Err(TlsError::Empty(path.to_owned()));
    }
    Ok(found)
}

impl From<PemError> for TlsError {
    fn from(error: PemError) -> Self {
        Self::Unreadable { path: error.path, why: error.why }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::generate_simple_self_signed;

    use super::*;

    #[test]
    fn files_are_taken_or_it_is_said_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (cert, key) = (file("cert", &made.cert.pem()), file("key", &made.signing_key.serialize_pem()));
        let other = file("other", &other.signing_key.serialize_pem());
        let (empty, missing) = (file("empty", "nothing here\n"), dir.path().join("missing"));
        assert!(server_tls(&cert, &key, None).is_ok() && server_tls(&cert, &key, Some(&cert)).is_ok());
        for (cert, key, client_ca, expected) in [
            (&missing, &key, None, "missing: No such file or directory"),
            (&empty, &key, None, "there is no certificate in"),
            (&cert, &cert, None, "cert: there is no private key in it"),
            (&cert, &other, None, "using certificate and key: "),
            (&cert, &key, Some(&empty), "there is no certificate in"),
        ] {
            let error = server_tls(cert, key, client_ca.map(PathBuf::as_path)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
