//! What an authority is answered that looks whether a name is ours.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::ClientHello;
use tokio_rustls::rustls::sign::CertifiedKey;
use tollhouse_web::{Answer, text};

/// What is spoken inside of TLS by an authority that looks (RFC 8737, section 6.2).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";
/// Where an authority looks without TLS (RFC 8555, section 8.3).
const WELL_KNOWN: &str = "/.well-known/acme-challenge/";

/// The answers to all challenges that are open; there are as many as names in orders under way.
#[derive(Debug, Default)]
pub struct Challenges {
    by_token: RwLock<HashMap<String, String>>,
    by_name: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

/// An answer that is given until this is dropped.
#[derive(Debug)]
pub(crate) struct Answering {
    challenges: Arc<Challenges>,
    key: String,
    is_token: bool,
}

impl Challenges {
    /// What an authority is answered at the plain address, if this is its request. Nothing else of it is looked at: where it comes
    /// from and what it is called is the authority's affair.
    pub fn answer<B>(&self, request: &Request<B>) -> Option<Answer> {
        let token = request.uri().path().strip_prefix(WELL_KNOWN)?;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let proof = self.by_token.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()?;
        let mut answer = text(StatusCode::OK, proof);
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        Some(answer)
    }

    /// The certificate that an authority looks for that asked for this name, if it is ours just now.
    pub(crate) fn certificate(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let name = name?.to_ascii_lowercase();
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()
    }

    pub(crate) fn answer_token(self: &Arc<Self>, token: &str, proof: &str) -> Answering {
        let (key, proof) = (token.to_owned(), proof.to_owned());
        self.by_token.write().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), proof);
        Answering { challenges: self.clone(), key, is_token: true }
    }

    /// `digest` is that of the key authorization, SHA-256.
    pub(crate) fn answer_name(self: &Arc<Self>, name: &str, digest: &[u8]) -> Result<Answering, rcgen::Error> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.custom_extensions.push(CustomExtension::new_acme_identifier(digest));
        let key = KeyPair::generate()?;
        let made = params.self_signed(&key)?;
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let private = default_provider().key_provider.load_private_key(private);
        let private = private.map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        // Not looked at any further: its extension is one that a certificate for other uses must not have.
        let certified = CertifiedKey::new(vec![made.der().clone()], private);
        let key = name.to_ascii_lowercase();
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), Arc::new(certified));
        Ok(Answering { challenges: self.clone(), key, is_token: false })
    }
}

/// Whether an authority begins to speak that looks whether a name is ours: it offers that protocol and no other (RFC 8737, section 3).
pub(crate) fn is_look(hello: &ClientHello<'_>) -> bool {
    let Some(mut offered) = hello.alpn() else { return false };
    offered.next() == Some(ACME_TLS) && offered.next().is_none()
}

impl Drop for Answering {
    fn drop(&mut self) {
        if self.is_token {
            self.challenges.by_token.write().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        } else {
            self.challenges.by_name.write().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_answered_while_their_order_runs() {
        let challenges = Arc::new(Challenges::default());
        let answering = challenges.answer_name("A.example", &[7; 32]).unwrap();
        let shown = challenges.certificate(Some("a.Example")).expect("a certificate");
        // id-pe-acmeIdentifier, critical, an octet string in an octet string (RFC 8737, section 3).
        let extension = [&[6, 8, 43, 6, 1, 5, 5, 7, 1, 31, 1, 1, 255, 4, 34, 4, 32][..], &[7; 32]].concat();
        assert!(shown.cert[0].windows(extension.len()).any(|part| part == extension));
        assert!(challenges.certificate(Some("b.example")).is_none() && challenges.certificate(None).is_none());
        drop(answering);
        assert!(challenges.certificate(Some("a.example")).is_none());
    }

    #[test]
    fn tokens_are_answered_while_their_order_runs() {
        let challenges = Arc::new(Challenges::default());
        let ask = |method: Method, path: &str| {
            challenges
                .answer(&Request::builder().method(method).uri(path).body(()).unwrap())
                .map(|answer| answer.status())
        };
        let path = format!("{WELL_KNOWN}abc");
        assert_eq!(ask(Method::GET, &path), None);
        let answering = challenges.answer_token("abc", "abc.thumb");
        assert_eq!(ask(Method::GET, &path), Some(StatusCode::OK));
        assert_eq!(ask(Method::POST, &path), None);
        assert_eq!(ask(Method::GET, WELL_KNOWN), None);
        drop(answering);
        assert_eq!(ask(Method::GET, &path), None);
    }
}
