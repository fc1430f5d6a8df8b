//! One order, and one question, to an ACME authority.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::rt::TokioExecutor;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, CertificateIdentifier, ChallengeType,
    Error, ExternalAccountKey, HttpClient, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tokio::sync::Mutex;
use tollhouse_outbound::{Trust, connector};
use tollhouse_units::chain;

use super::challenges::{Answering, Challenges};
use super::schedule::Window;
use super::vault::Vault;
use crate::certificates::Certificate;
use crate::error::EdgeError;

/// How long the authority may take to be reached, and to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer of the authority's.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How long it may take to look at the names of an order, and then to sign.
const LOOK_TIMEOUT: Duration = Duration::from_mins(2);
/// How long the whole of an order may take.
const ORDER_TIMEOUT: Duration = Duration::from_mins(10);
/// How often an order is gone on with of which a request was refused for its nonce alone (RFC 8555, section 6.5). The library tries
/// each request three times.
const NONCE_TRIES: u32 = 8;

/// An authority, and who asks it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcmeSettings {
    /// The address of its directory (RFC 8555, section 7.1.1).
    pub directory: String,
    /// Who signed the authority's own certificate (PEM); without it, whoever this machine trusts.
    pub ca: Option<PathBuf>,
    /// Mail addresses that it may write to.
    pub contacts: Vec<String>,
    /// The kind of certificate, where it offers several.
    pub profile: Option<String>,
    /// How it is shown that the names are ours.
    pub challenge: Challenge,
    /// How long after a first failure it is asked again.
    pub retry: Duration,
    /// An account that one has there already (section 7.3.4): its id, and the key for it (base64url).
    pub binding: Option<(String, String)>,
}

/// How it is shown that names are ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Challenge {
    /// By an answer at the plain address (RFC 8555, section 8.3).
    Http,
    /// By a certificate at the encrypted address (RFC 8737).
    Tls,
}

/// Why nothing came of an order.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcmeError {
    /// The authority, or the way to it.
    #[error(transparent)]
    Authority(#[from] Error),
    /// A name was looked at and not found to be ours.
    #[error("{name}: {why}")]
    Name { name: String, why: String },
    /// A key or a request for a signature could not be made.
    #[error("making a key")]
    Key(#[from] rcgen::Error),
    /// A file could not be read or written.
    #[error("keeping it in {path}")]
    File { path: PathBuf, source: io::Error },
    /// What came is no certificate for what was asked.
    #[error("what the authority signed cannot be used: {0}")]
    Unusable(String),
    /// The configuration of the authority.
    #[error("{0}")]
    Settings(String),
    /// It took too long.
    #[error("the order did not come to its end within {0:?}")]
    Slow(Duration),
}

/// What [`Authority::examine`] found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Examined {
    /// Whether an account is there and still good.
    pub has_account: bool,
    /// Whether the authority tells when it wants certificates to be renewed.
    pub tells_windows: bool,
}

/// An authority, asked on behalf of one account.
#[derive(Clone)]
pub struct Authority {
    pub(crate) settings: AcmeSettings,
    pub(crate) vault: Vault,
    http: Http,
    /// Held while an account is made, so that several sites that begin at once make one.
    making: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("directory", &self.settings.directory).finish_non_exhaustive()
    }
}

/// A site's order.
pub(crate) struct Wanted<'a> {
    pub(crate) host: &'a str,
    pub(crate) names: &'a [String],
    /// The certificate that it takes the place of.
    pub(crate) replaces: Option<&'a CertificateIdentifier<'static>>,
    /// The address of an order that was begun before.
    pub(crate) begun: Option<&'a str>,
}

impl Authority {
    /// Asks nobody yet. It reads files, so it blocks.
    pub fn new(settings: AcmeSettings, vault: Vault) -> Result<Self, EdgeError> {
        let trust = Trust::of(settings.ca.as_deref(), true);
        let mut connector = connector(GaiResolver::new(), &trust, CONNECT_TIMEOUT)?;
        connector.enforce_https();
        Ok(Self {
            settings,
            http: Http(Client::builder(TokioExecutor::new()).build(connector)),
            vault,
            making: Arc::default(),
        })
    }

    /// Orders a certificate, or goes on with an order that was begun, and puts it into the vault. `note` keeps the order's address.
    pub(crate) async fn obtain<N, F>(
        &self,
        wanted: &Wanted<'_>,
        challenges: &Arc<Challenges>,
        note: N,
    ) -> Result<(), AcmeError>
    where
        N: Fn(String) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        let order = async {
            let mut begun = wanted.begun.map(str::to_owned);
            let mut tries = 1;
            loop {
                match self.once(wanted, &mut begun, challenges, &note).await {
                    Err(AcmeError::Authority(error)) if is(&error, "badNonce") && tries < NONCE_TRIES => tries += 1,
                    result => return result,
                }
            }
        };
        tokio::time::timeout(ORDER_TIMEOUT, order).await.unwrap_or(Err(AcmeError::Slow(ORDER_TIMEOUT)))
    }

    async fn once<N, F>(
        &self,
        wanted: &Wanted<'_>,
        begun: &mut Option<String>,
        challenges: &Arc<Challenges>,
        note: &N,
    ) -> Result<(), AcmeError>
    where
        N: Fn(String) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        let account = self.account().await?;
        let mut order = match self.resumed(&account, wanted, begun.as_deref()).await? {
            Some(order) => order,
            None => self.new_order(&account, wanted).await?,
        };
        if begun.as_deref() != Some(order.url()) {
            *begun = Some(order.url().to_owned());
            note(order.url().to_owned()).await;
        }
        if order.state().status == OrderStatus::Pending {
            let answering = self.answer(&mut order, challenges).await?;
            let polled = order.poll_ready(&RetryPolicy::new().timeout(LOOK_TIMEOUT)).await;
            drop(answering);
            match polled {
                Ok(OrderStatus::Invalid) => return Err(refused(&mut order).await),
                Err(error) if is(&error, "badNonce") => return Err(error.into()),
                Err(error) => return Err(why_not(&mut order).await.unwrap_or(AcmeError::Authority(error))),
                Ok(_) => {}
            }
        }
        let key_path = self.vault.next_key(wanted.host);
        if order.state().status == OrderStatus::Ready {
            let key = KeyPair::generate()?;
            // Before it is signed: whoever is ended now goes on with it later.
            self.write(&key_path, &key.serialize_pem())?;
            let mut params = CertificateParams::new(wanted.names)?;
            params.distinguished_name = DistinguishedName::new();
            order.finalize_csr(params.serialize_request(&key)?.der()).await?;
        }
        let chain = order.poll_certificate(&RetryPolicy::new().timeout(LOOK_TIMEOUT)).await?;
        let key = read(&key_path)?.ok_or_else(|| AcmeError::Unusable("its key is not there any more".to_owned()))?;
        self.take(wanted, &chain, &key)?;
        let removed = Vault::remove(&key_path);
        removed.map_err(|source| AcmeError::File { path: key_path, source })
    }

    /// Puts it into the vault, if it is what was asked for.
    fn take(&self, wanted: &Wanted<'_>, chain: &str, key: &str) -> Result<(), AcmeError> {
        let both = format!("{}\n{key}", chain.trim_end());
        let unusable = |why: String| AcmeError::Unusable(why);
        let certificate = Certificate::from_pem(&both).map_err(unusable)?;
        if let Some(name) = wanted.names.iter().find(|name| !certificate.is_for(name)) {
            return Err(unusable(format!("it is not for {name}")));
        }
        self.write(&self.vault.certificate(wanted.host), &both)
    }

    /// The order that was begun, where it can still be gone on with.
    async fn resumed(
        &self,
        account: &Account,
        wanted: &Wanted<'_>,
        begun: Option<&str>,
    ) -> Result<Option<Order>, AcmeError> {
        let Some(url) = begun else { return Ok(None) };
        let mut order = match account.order(url.to_owned()).await {
            Ok(order) => order,
            Err(error) if is(&error, "badNonce") => return Err(error.into()),
            // The authority has forgotten it.
            Err(Error::Api(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let has_key = read(&self.vault.next_key(wanted.host))?.is_some();
        Ok(match order.state().status {
            OrderStatus::Pending | OrderStatus::Ready => Some(order),
            OrderStatus::Processing | OrderStatus::Valid if has_key => Some(order),
            OrderStatus::Processing | OrderStatus::Valid | OrderStatus::Invalid => None,
        })
    }

    async fn new_order(&self, account: &Account, wanted: &Wanted<'_>) -> Result<Order, AcmeError> {
        let names: Vec<Identifier> = wanted.names.iter().map(|name| Identifier::Dns(name.clone())).collect();
        let plain = || match &self.settings.profile {
            Some(profile) => NewOrder::new(&names).profile(profile),
            None => NewOrder::new(&names),
        };
        if let Some(replaced) = wanted.replaces {
            // That it takes another's place is said where it is understood (RFC 9773, section 5).
            match account.new_order(&plain().replaces(replaced.clone())).await {
                Ok(order) => return Ok(order),
                Err(error) if is(&error, "badNonce") || is(&error, "rateLimited") => return Err(error.into()),
                Err(Error::Api(_) | Error::Unsupported(_) | Error::Other(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(account.new_order(&plain()).await?)
    }

    /// Prepares an answer for each name that is to be looked at, and tells the authority to look.
    async fn answer(&self, order: &mut Order, challenges: &Arc<Challenges>) -> Result<Vec<Answering>, AcmeError> {
        let kind = match self.settings.challenge {
            Challenge::Http => ChallengeType::Http01,
            Challenge::Tls => ChallengeType::TlsAlpn01,
        };
        let mut answering = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                _ => {
                    let name = authorization.identifier().to_string();
                    return Err(AcmeError::Name { name, why: "the authority looks at it no more".to_owned() });
                }
            }
            let name = authorization.identifier().to_string();
            let Some(mut challenge) = authorization.challenge(kind.clone()) else {
                let why = format!("the authority does not look at it by {kind:?}");
                return Err(AcmeError::Name { name, why });
            };
            let proof = challenge.key_authorization();
            answering.push(match self.settings.challenge {
                Challenge::Http => challenges.answer_token(&challenge.token, proof.as_str()),
                Challenge::Tls => challenges.answer_name(&name, proof.digest().as_ref())?,
            });
            challenge.set_ready().await?;
        }
        Ok(answering)
    }

    /// When the authority wants this certificate to be renewed, and after how many seconds it is to be asked again; `None` where it
    /// does not tell such things.
    pub(crate) async fn window(
        &self,
        certificate: &CertificateIdentifier<'static>,
    ) -> Result<Option<(Window, i64)>, AcmeError> {
        let told = async { self.account().await?.renewal_info(certificate).await.map_err(AcmeError::Authority) };
        let told = tokio::time::timeout(ANSWER_TIMEOUT, told).await.unwrap_or(Err(AcmeError::Slow(ANSWER_TIMEOUT)));
        match told {
            Ok((told, ask_again)) => {
                let window = told.suggested_window;
                let window = Window { from: window.start.unix_timestamp(), until: window.end.unix_timestamp() };
                Ok(Some((window, ask_again.as_secs().min(u64::from(u32::MAX)) as i64)))
            }
            Err(AcmeError::Authority(Error::Unsupported(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reaches the authority and asks it for the account, without making one and without ordering anything. `Err` says what
    /// fails.
    pub async fn examine(&self) -> Result<Examined, String> {
        self.examined().await.map_err(|error| error.told())
    }

    async fn examined(&self) -> Result<Examined, AcmeError> {
        let path = self.vault.account(&self.settings.directory);
        let builder = Account::builder_with_http(Box::new(self.http.clone()));
        if let Some(credentials) = read(&path)?.and_then(|text| serde_json::from_str(&text).ok()) {
            let account = builder.from_credentials(credentials).await?;
            // An empty change gives the account as it is (RFC 8555, section 7.3.2).
            let contacts = self.contacts();
            let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
            let mut tries = 1;
            let has_account = loop {
                match account.update_contacts(&contacts).await {
                    Ok(()) => break true,
                    Err(error) if is(&error, "badNonce") && tries < NONCE_TRIES => tries += 1,
                    Err(error) if is(&error, "accountDoesNotExist") || is(&error, "unauthorized") => break false,
                    Err(error) => return Err(error.into()),
                }
            };
            let nobody = CertificateIdentifier { authority_key_identifier: "AA".into(), serial: "AA".into() };
            let tells_windows = !matches!(account.renewal_info(&nobody).await, Err(Error::Unsupported(_)));
            return Ok(Examined { has_account, tells_windows });
        }
        let request = Request::get(&self.settings.directory).body(BodyWrapper::default()).map_err(Error::Http)?;
        let mut answer = self.http.request(request).await?;
        let body = answer.body.into_bytes().await.map_err(Error::Other)?;
        let directory: serde_json::Value = serde_json::from_slice(&body).map_err(Error::Json)?;
        if directory.get("newOrder").is_none() {
            return Err(AcmeError::Settings("there is no ACME directory at this address".to_owned()));
        }
        Ok(Examined { has_account: false, tells_windows: directory.get("renewalInfo").is_some() })
    }

    fn contacts(&self) -> Vec<String> {
        self.settings.contacts.iter().map(|address| format!("mailto:{address}")).collect()
    }

    /// The account that is kept, or a new one.
    async fn account(&self) -> Result<Account, AcmeError> {
        let path = self.vault.account(&self.settings.directory);
        let _turn = self.making.lock().await;
        let builder = || Account::builder_with_http(Box::new(self.http.clone()));
        if let Some(text) = read(&path)?
            && let Ok(credentials) = serde_json::from_str::<AccountCredentials>(&text)
        {
            return Ok(builder().from_credentials(credentials).await?);
        }
        let contacts = self.contacts();
        let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let account = NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
        let binding = match &self.settings.binding {
            None => None,
            Some((id, key)) => {
                let key = URL_SAFE_NO_PAD.decode(key.trim_end_matches('='));
                let key = key.map_err(|_| AcmeError::Settings("the key of `binding` is not base64url".to_owned()))?;
                Some(ExternalAccountKey::new(id.clone(), &key))
            }
        };
        let made = builder().create(&account, self.settings.directory.clone(), binding.as_ref()).await;
        let (account, credentials) = made?;
        let text = serde_json::to_string(&credentials).map_err(Error::Json)?;
        self.write(&path, &text)?;
        Ok(account)
    }

    /// Makes a new account the next time, if that is what the authority wants.
    pub(crate) fn forget_account(&self, error: &AcmeError) {
        if let AcmeError::Authority(error) = error
            && is(error, "accountDoesNotExist")
        {
            // If it cannot be removed, the next order fails as this one did, and is told.
            let _: io::Result<()> = Vault::remove(&self.vault.account(&self.settings.directory));
        }
    }

    fn write(&self, path: &std::path::Path, text: &str) -> Result<(), AcmeError> {
        self.vault.write(path, text).map_err(|source| AcmeError::File { path: path.to_owned(), source })
    }
}

fn read(path: &std::path::Path) -> Result<Option<String>, AcmeError> {
    Vault::read(path).map_err(|source| AcmeError::File { path: path.to_owned(), source })
}

/// Whether the authority says this (RFC 8555, section 6.7).
fn is(error: &Error, kind: &str) -> bool {
    let Error::Api(problem) = error else { return false };
    problem.r#type.as_deref().and_then(|told| told.strip_prefix("urn:ietf:params:acme:error:")) == Some(kind)
}

/// What the authority found wrong with a name of an order.
async fn why_not(order: &mut Order) -> Option<AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() || authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let problem = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return Some(AcmeError::Name { name, why: problem.to_string() });
        }
    }
    None
}

async fn refused(order: &mut Order) -> AcmeError {
    let found = why_not(order).await;
    found.unwrap_or_else(|| AcmeError::Unusable("the authority refused the order and does not say why".to_owned()))
}

impl AcmeError {
    /// Whether the order can come to nothing any more. One that was only interrupted is gone on with.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Name { .. } | Self::Unusable(_) | Self::Key(_) => true,
            Self::Authority(error @ Error::Api(_)) => !is(error, "rateLimited") && !is(error, "serverInternal"),
            Self::Authority(_) | Self::File { .. } | Self::Settings(_) | Self::Slow(_) => false,
        }
    }

    /// In one line, as records have it.
    pub(crate) fn told(&self) -> String {
        chain(self)
    }
}

/// How the authority is reached.
#[derive(Clone)]
struct Http(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let answered = async {
                let (head, body) =
                    client.request(request).await.map_err(|error| Error::Other(error.into()))?.into_parts();
                let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(Error::Other)?;
                Ok(BytesResponse::from(http::Response::from_parts(head, Full::new(body.to_bytes()))))
            };
            let slow = || Error::Other(format!("the authority did not answer within {ANSWER_TIMEOUT:?}").into());
            tokio::time::timeout(ANSWER_TIMEOUT, answered).await.unwrap_or_else(|_| Err(slow()))
        })
    }
}
