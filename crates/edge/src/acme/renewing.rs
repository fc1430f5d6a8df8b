//! Looks after the certificates of sites: each by itself, all of them at one authority.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::authority::{Authority, Wanted};
use super::challenges::Challenges;
use super::schedule::{Memory, Step, Validity};
use crate::certificates::Certificate;

/// Orders that run at once; a site has one at a time.
const ORDERS_MAX: usize = 4;
/// Longest sleep: the clock may be set, and the machine may have slept.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How long a memory that could not be kept is left before it is tried again.
const KEEP_AGAIN: Duration = Duration::from_secs(5);

/// A site whose certificate is looked after.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcmeSite {
    /// Its name.
    pub host: String,
    /// All its names, its first one among them.
    pub names: Vec<String>,
}

/// Keeps what is known of certificates over restarts, by the site's name.
pub trait Book: Send + Sync + 'static {
    /// What was kept; `Err` says why that cannot be told now.
    fn recall(&self, host: &str) -> impl Future<Output = Result<Option<Memory>, String>> + Send;
    /// Keeps this, in place of what was kept before.
    fn keep(&self, host: &str, memory: &Memory) -> impl Future<Output = Result<(), String>> + Send;
}

/// What is told of a site's certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Renewal {
    /// A new certificate lies in the vault.
    Obtained {
        /// When it ends, in seconds since 1970.
        ends: i64,
    },
    /// It was not obtained; the one in force goes on.
    Failed {
        /// Why.
        error: String,
        /// How often in a row.
        failures: u32,
        /// When it is tried again, in seconds since 1970.
        retry_at: i64,
        /// When the one in force ends, if there is one.
        ends: Option<i64>,
    },
    /// Something around it did not work, and is tried again: its memory, or the authority's window.
    Troubled {
        /// What did not work, and why.
        error: String,
    },
}

/// Who is told, with the site's name.
pub type TellRenewal = Arc<dyn Fn(&str, Renewal) + Send + Sync>;

/// The tasks that look after certificates; dropped, they end at once, and go on where they were when begun again.
#[derive(Debug)]
pub struct Renewing {
    tasks: JoinSet<()>,
}

impl Renewing {
    /// Begins to look after these sites.
    pub fn begin<B: Book>(
        authority: &Authority,
        sites: Vec<AcmeSite>,
        book: B,
        challenges: &Arc<Challenges>,
        tell: &TellRenewal,
    ) -> Self {
        let book = Arc::new(book);
        let orders = Arc::new(Semaphore::new(ORDERS_MAX));
        let mut tasks = JoinSet::new();
        for site in sites {
            let keeper = Keeper {
                site,
                authority: authority.clone(),
                book: book.clone(),
                challenges: challenges.clone(),
                tell: tell.clone(),
                orders: orders.clone(),
            };
            tasks.spawn(keeper.keep());
        }
        Self { tasks }
    }

    /// Ends it; orders under way are gone on with when it begins again.
    pub async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Looks after one site.
struct Keeper<B> {
    site: AcmeSite,
    authority: Authority,
    book: Arc<B>,
    challenges: Arc<Challenges>,
    tell: TellRenewal,
    orders: Arc<Semaphore>,
}

impl<B: Book> Keeper<B> {
    async fn keep(self) {
        let mut memory = self.recall().await;
        let mut is_troubled = false;
        loop {
            let certificate = self.certificate().await;
            // One of another authority, or for other names, stays in force until there is a better one.
            let fit = certificate.as_ref().filter(|certificate| {
                let is_its = memory.directory.as_ref() == Some(&self.authority.settings.directory);
                is_its && self.site.names.iter().all(|name| certificate.is_for(name))
            });
            let held = fit.map(|fit| Validity { begins: fit.begins(), ends: fit.ends() });
            match memory.next(now(), held) {
                Step::Wait(until) => {
                    let left = Duration::from_secs(until.saturating_sub(now()).max(1) as u64);
                    tokio::time::sleep(left.min(SLEEP_MAX)).await;
                    continue;
                }
                Step::Order => self.order(&mut memory, certificate.as_ref(), held).await,
                Step::Ask => {
                    let asked = self.ask(&mut memory, fit).await;
                    // Told once: it is asked again within the hour.
                    if let Err(error) = &asked
                        && !is_troubled
                    {
                        let error = format!("asking the authority when to renew: {error}");
                        (self.tell)(&self.site.host, Renewal::Troubled { error });
                    }
                    is_troubled = asked.is_err();
                }
            }
            self.remember(&memory).await;
        }
    }

    async fn order(&self, memory: &mut Memory, certificate: Option<&Certificate>, held: Option<Validity>) {
        let Ok(_turn) = self.orders.acquire().await else { return };
        let wanted = Wanted {
            host: &self.site.host,
            names: &self.site.names,
            replaces: held.and(certificate).and_then(Certificate::identifier),
            begun: memory.order.as_deref(),
        };
        let begun = Mutex::new(memory.order.clone());
        let note = |url: String| {
            let noted = Memory { order: Some(url.clone()), ..memory.clone() };
            *begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(url);
            async move { self.remember(&noted).await }
        };
        match self.authority.obtain(&wanted, &self.challenges, note).await {
            Ok(()) => {
                memory.taken(now(), &self.authority.settings.directory);
                let ends = self.certificate().await.map_or(0, |certificate| certificate.ends());
                (self.tell)(&self.site.host, Renewal::Obtained { ends });
            }
            Err(error) => {
                self.authority.forget_account(&error);
                // An order that came to a bad end is not gone on with; one that was only interrupted is.
                let order = begun.into_inner().unwrap_or_else(PoisonError::into_inner).filter(|_| !error.is_final());
                let first = self.authority.settings.retry.as_secs().max(1) as i64;
                memory.failed(now(), held, error.told(), first, dice());
                memory.order = order;
                let told = Renewal::Failed {
                    error: error.told(),
                    failures: memory.failures,
                    retry_at: memory.retry_at,
                    ends: certificate.map(Certificate::ends),
                };
                (self.tell)(&self.site.host, told);
            }
        }
    }

    async fn ask(&self, memory: &mut Memory, held: Option<&Certificate>) -> Result<(), String> {
        let Some(identifier) = held.and_then(Certificate::identifier) else {
            memory.not_told(now(), false);
            return Ok(());
        };
        match self.authority.window(identifier).await {
            Ok(Some((window, ask_again))) => memory.told(now(), window, ask_again, dice()),
            Ok(None) => memory.not_told(now(), false),
            Err(error) => {
                memory.not_told(now(), true);
                return Err(error.told());
            }
        }
        Ok(())
    }

    /// The certificate in the vault. One that cannot be read is as good as none.
    async fn certificate(&self) -> Option<Certificate> {
        let path = self.authority.vault.certificate(&self.site.host);
        tokio::task::spawn_blocking(move || Certificate::read(&path, &path).ok()).await.ok().flatten()
    }

    async fn recall(&self) -> Memory {
        loop {
            match self.book.recall(&self.site.host).await {
                Ok(memory) => return memory.unwrap_or_default(),
                // Without it, an authority could be asked too often.
                Err(error) => {
                    let error = format!("recalling what is known of the certificate: {error}");
                    (self.tell)(&self.site.host, Renewal::Troubled { error });
                    tokio::time::sleep(KEEP_AGAIN).await;
                }
            }
        }
    }

    async fn remember(&self, memory: &Memory) {
        if let Err(error) = self.book.keep(&self.site.host, memory).await {
            let error = format!("keeping what is known of the certificate: {error}");
            (self.tell)(&self.site.host, Renewal::Troubled { error });
        }
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// From 0 to 1. Sites and houses that began at once do not stay together; nothing needs to be secret.
fn dice() -> f64 {
    f64::from(Timestamp::now().subsec_nanosecond() % 1_000_003) / 1_000_003.0
}
