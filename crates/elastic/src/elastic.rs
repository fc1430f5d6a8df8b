//! What all handlers share.

use std::collections::HashSet;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::{Timestamp, ToSpan, tz};
use tokio::sync::OnceCell;
use tollhouse_remote::Shelf;
use tollhouse_store::Store;

use crate::book::{Book, By};
use crate::claims::Claims;
use crate::contexts::Contexts;
use crate::definitions::Definitions;
use crate::error::ElasticError;
use crate::indices::REFRESH_S_MAX;
use crate::names::Target;
use crate::scope::Scope;

/// Different services that documents are written for: each has an index a day, and an index costs files and memory.
const SERVICES_MAX: usize = 64;

/// The API over a store, with what it keeps between requests. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Elastic {
    pub(crate) shelf: Shelf,
    pub(crate) contexts: Arc<Contexts>,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) claims: Arc<Claims>,
    /// What was in the journal before the start can be found: ids in it are known.
    caught_up: Arc<OnceCell<()>>,
    /// Services that were written for since the start; their indices may be on the way.
    services: Arc<Mutex<HashSet<String>>>,
    book: Option<Arc<dyn Book>>,
    /// What may be used by whoever asks.
    pub(crate) scope: Scope,
    /// Who asks.
    pub(crate) by: Option<String>,
}

/// The API as far as this request may use it.
impl FromRequestParts<Self> for Elastic {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &Self) -> Result<Self, Infallible> {
        let scope = parts.extensions.get::<Scope>().cloned().unwrap_or_default();
        let by = parts.extensions.get::<By>().map(|By(by)| by.clone());
        Ok(Self { scope, by, ..state.clone() })
    }
}

impl std::fmt::Debug for Elastic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elastic").field("shelf", &self.shelf).finish_non_exhaustive()
    }
}

impl Elastic {
    /// The API over a store or a cluster. What clients define (templates, policies) is kept in the file `definitions`, what they write goes
    /// into `book`; without one, nothing can be written. Reads that file, so it blocks.
    pub fn new(
        shelf: impl Into<Shelf>,
        definitions: PathBuf,
        book: Option<Arc<dyn Book>>,
    ) -> Result<Self, ElasticError> {
        Ok(Self {
            shelf: shelf.into(),
            contexts: Arc::new(Contexts::default()),
            definitions: Arc::new(Definitions::open(definitions)?),
            claims: Arc::new(Claims::default()),
            caught_up: Arc::default(),
            services: Arc::default(),
            book,
            scope: Scope::default(),
            by: None,
        })
    }

    /// Where documents are written.
    pub(crate) fn book(&self) -> Result<Arc<dyn Book>, ElasticError> {
        self.book.clone().ok_or_else(|| ElasticError::Unwritable("it is opened for reading only".to_owned()))
    }

    /// Waits until the index knows all ids of before the start: what was written just before a crash may be on its way.
    pub(crate) async fn catch_up(&self) -> Result<(), ElasticError> {
        let caught_up = async {
            let is_indexed = self.shelf.refresh(Duration::from_secs(REFRESH_S_MAX)).await;
            is_indexed.then_some(()).ok_or(ElasticError::NotIndexed(REFRESH_S_MAX))
        };
        self.caught_up.get_or_try_init(|| caught_up).await.copied()
    }

    /// The index of a document of this time that is written to `target`.
    pub(crate) async fn place(
        &self,
        target: &Target,
        time_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<String, ElasticError> {
        let day = target.day(time_ms.unwrap_or(now_ms));
        let index = Store::name_of_day(&target.service, day);
        self.scope.check(&index)?;
        let now = Timestamp::from_millisecond(now_ms).unwrap_or_default();
        let today = tz::TimeZone::UTC.to_datetime(now).date();
        if today.checked_add(1.day()).is_ok_and(|tomorrow| day > tomorrow) {
            return Err(ElasticError::Parameter(format!("the index [{index}] is of a day that has not come yet")));
        }
        if !self.shelf.keeps(day) {
            return Err(ElasticError::Parameter(format!(
                "the index [{index}] is of a day that is not kept any more (`store.keep.days`)"
            )));
        }
        self.admit(&target.service).await?;
        Ok(index)
    }

    /// Lets documents of a service in, unless there are too many services.
    async fn admit(&self, service: &str) -> Result<(), ElasticError> {
        if self.admitted().contains(service) {
            return Ok(());
        }
        let known = self.shelf.services().await?;
        let mut services = self.admitted();
        if !known.contains(service) && known.union(&services).count() >= SERVICES_MAX {
            return Err(ElasticError::Parameter(format!(
                "there are indices of {SERVICES_MAX} services already, so [{service}] cannot be added"
            )));
        }
        // Only so many, whatever has been taken away since.
        if services.len() >= SERVICES_MAX {
            services.retain(|service| known.contains(service));
        }
        services.insert(service.to_owned());
        Ok(())
    }

    fn admitted(&self) -> MutexGuard<'_, HashSet<String>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of all day indices those that a list of names and patterns stands for, as far as they may be used.
    pub(crate) async fn resolve(&self, names: &str) -> Result<Vec<String>, ElasticError> {
        self.scope.pick(&self.shelf.names().await?, names)
    }
}
