//! Certificates of sites by ACME: what the configuration says of them, where they are kept, and what is recorded.

use std::sync::Arc;

use anyhow::Context;
use tollhouse_config::{AcmeChallenge, Config, EdgeConfig, TlsConfig};
use tollhouse_edge::{
    AcmeSettings, AcmeSite, Authority, Book, Challenge, Challenges, Memory, Renewal, Renewing, TellRenewal, Vault,
};
use tollhouse_journal::{Journal, Level};
use tollhouse_state::State;

use super::{enqueue, record_of};

/// The folder of keys and certificates, beside the state's pepper.
pub(crate) fn vault(config: &Config) -> Vault {
    Vault::new(config.data_dir.join("state/acme"))
}

/// The authority of the sites, if one of them needs it.
pub(crate) fn settings(edge: Option<&EdgeConfig>) -> Option<AcmeSettings> {
    let edge = edge.filter(|edge| edge.sites.iter().any(|site| site.tls == TlsConfig::Acme))?;
    let acme = edge.acme.as_ref()?;
    Some(AcmeSettings {
        directory: acme.directory.clone(),
        ca: acme.ca.clone(),
        contacts: acme.contacts.clone(),
        profile: acme.profile.clone(),
        challenge: match acme.challenge {
            AcmeChallenge::Http => Challenge::Http,
            AcmeChallenge::Tls => Challenge::Tls,
        },
        retry: acme.retry,
        binding: acme.binding.as_ref().map(|(id, key)| (id.clone(), key.expose().to_owned())),
    })
}

/// The sites whose certificates are looked after.
pub(crate) fn sites(edge: Option<&EdgeConfig>) -> Vec<AcmeSite> {
    let sites = edge.iter().flat_map(|edge| &edge.sites).filter(|site| site.tls == TlsConfig::Acme);
    sites.map(|site| AcmeSite { host: site.host.clone(), names: site.names().cloned().collect() }).collect()
}

/// Prepares to ask the authority. It reads files, so it blocks.
pub(super) fn authority(config: &Config) -> anyhow::Result<Option<Authority>> {
    let settings = settings(config.edge.as_ref());
    let made = settings.map(|settings| Authority::new(settings, vault(config))).transpose();
    made.context("preparing the authority of certificates (`edge.acme`)")
}

/// What is looked after, and by whom.
#[derive(Debug)]
pub(super) struct Looked {
    settings: AcmeSettings,
    sites: Vec<AcmeSite>,
    /// Ends when it is dropped.
    _renewing: Renewing,
}

impl Looked {
    /// Goes on with these sites, or begins anew where something about them is another now.
    pub(super) fn adopt(
        before: Option<Self>,
        authority: Option<Authority>,
        config: &Config,
        (journal, state, challenges): (&Journal, &State, &Arc<Challenges>),
    ) -> Option<Self> {
        let (authority, settings) = authority.zip(settings(config.edge.as_ref()))?;
        let sites = sites(config.edge.as_ref());
        if let Some(before) = before
            && before.settings == settings
            && before.sites == sites
        {
            return Some(before);
        }
        let (journal, book) = (journal.clone(), StateBook(state.clone()));
        let tell: TellRenewal = Arc::new(move |host: &str, renewal| record(&journal, host, renewal));
        let renewing = Renewing::begin(&authority, sites.clone(), book, challenges, &tell);
        Some(Self { settings, sites, _renewing: renewing })
    }
}

/// Keeps it in the state.
struct StateBook(State);

impl Book for StateBook {
    async fn recall(&self, host: &str) -> Result<Option<Memory>, String> {
        recall(&self.0, host).await
    }

    async fn keep(&self, host: &str, memory: &Memory) -> Result<(), String> {
        let body = serde_json::to_string(memory).map_err(|error| error.to_string())?;
        self.0.keep_certificate(host, &body).await.map_err(|error| tollhouse_units::chain(&error))
    }
}

/// What is known of a site's certificate. What cannot be read any more is as good as nothing.
pub(crate) async fn recall(state: &State, host: &str) -> Result<Option<Memory>, String> {
    let body = state.certificate(host).await.map_err(|error| tollhouse_units::chain(&error))?;
    Ok(body.and_then(|body| serde_json::from_str(&body).ok()))
}

fn record(journal: &Journal, host: &str, renewal: Renewal) {
    let at = |second: i64| jiff::Timestamp::from_second(second).map_or_else(|_| String::new(), |at| at.to_string());
    let told = match renewal {
        Renewal::Obtained { ends } => {
            record_of(Level::Info, "certificate obtained", host, Some(ends)).field("outcome", "ok")
        }
        Renewal::Failed { error, failures, retry_at, ends } => {
            tracing::warn!(host, error, "a certificate was not obtained");
            let told = record_of(Level::Error, "certificate not obtained", host, ends).field("outcome", "fault");
            told.field("error", error).field("failures", failures).field("retry_at", at(retry_at))
        }
        Renewal::Troubled { error } => {
            record_of(Level::Warn, "certificate not looked after as it should be", host, None).field("error", error)
        }
    };
    enqueue(journal, told);
}
