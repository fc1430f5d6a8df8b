//! Whose certificates are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tollhouse_web::pem;

/// Whose certificates are believed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Trust {
    /// Nobody's: nothing is encrypted, and reading the system's authorities takes time.
    Nobody,
    /// What the authorities of the system have signed; it is an error where it has none.
    #[default]
    System,
    /// The same, and nobody's where the system has none: for what has to work on such a machine, too.
    SystemIfAny,
    /// What the authorities of this PEM file have signed, and nothing else.
    File(PathBuf),
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// A file of authorities cannot be used.
    #[error("reading the authorities in {}: {why}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system has no certificate of an authority that can be read.
    #[error("reading the system's trusted certificates: there is none that can be used")]
    System,
    /// TLS cannot be set up.
    #[error("setting up TLS")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// The authorities of a file where one is named, else the system's; nobody where nothing will be encrypted.
    pub fn of(ca: Option<&Path>, is_encrypted: bool) -> Self {
        match ca {
            Some(path) => Self::File(path.to_owned()),
            None if is_encrypted => Self::System,
            None => Self::Nobody,
        }
    }

    /// TLS 1.2 and 1.3 with that trust, without a certificate of our own. Reads files, so it blocks.
    pub fn tls(&self) -> Result<ClientConfig, OutboundError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?;
        Ok(builder.with_root_certificates(self.roots()?).with_no_client_auth())
    }

    /// The authorities. Reads files, so it blocks.
    pub fn roots(&self) -> Result<RootCertStore, OutboundError> {
        match self {
            Self::Nobody => Ok(RootCertStore::empty()),
            Self::System => Some(of_system()).filter(|roots| !roots.is_empty()).ok_or(OutboundError::System),
            Self::SystemIfAny => Ok(of_system()),
            Self::File(path) => authorities(path),
        }
    }
}

/// What cannot be read among the system's is left out.
fn of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let _: (usize, usize) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn authorities(path: &Path) -> Result<RootCertStore, OutboundError> {
    let unfit = |why: String| OutboundError::Authorities { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(path).map_err(|error| unfit(error.why))? {
        roots.add(certificate).map_err(|error| unfit(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unfit("there is no certificate in it".to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_that_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let said = |path: &Path| Trust::of(Some(path), true).tls().unwrap_err().to_string();
        assert!(said(&path).contains("ca.pem: No such file"), "{}", said(&path));
        std::fs::write(&path, "nothing of that kind\n").unwrap();
        assert!(said(&path).ends_with("ca.pem: there is no certificate in it"), "{}", said(&path));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&path, made.cert.pem()).unwrap();
        assert!(Trust::of(Some(&path), false).tls().is_ok());
    }
}
