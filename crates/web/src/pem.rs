//! Certificates and keys in PEM files (RFC 7468).

use std::path::{Path, PathBuf};

use tokio_rustls::rustls::pki_types::pem::{Error, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a file cannot be used.
#[derive(Debug)]
pub struct PemError {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// All certificates of a file, in their order; there may be none. It reads the file, so it blocks.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    found.map_err(|error| unreadable(path, &error))
}

/// The first private key of a file. It reads the file, so it blocks.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &Error) -> PemError {
    let why = match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "there is no private key in it".to_owned(),
        error => format!("not a PEM file ({error:?})"),
    };
    PemError { path: path.to_owned(), why }
}
