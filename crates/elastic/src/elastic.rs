//! What all handlers share.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{Timestamp, ToSpan, tz};
use tokio::sync::OnceCell;
use tollhouse_store::Store;

use crate::book::Book;
use crate::claims::Claims;
use crate::contexts::Contexts;
use crate::definitions::Definitions;
use crate::error::ElasticError;
use crate::indices::REFRESH_S_MAX;
use crate::names::Target;

/// Different services that documents are written for: each has an index a day, and an index costs files and memory.
const SERVICES_MAX: usize = 64;

/// The API over a store, with what it keeps between requests. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Elastic {
    pub(crate) store: Store,
    pub(crate) contexts: Arc<Contexts>,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) claims: Arc<Claims>,
    /// What was in the journal before the start can be found: ids in it are known.
    caught_up: Arc<OnceCell<()>>,
    /// Services that were written for since the start; their indices may be on the way.
    services: Arc<Mutex<HashSet<String>>>,
    book: Option<Arc<dyn Book>>,
}

impl std::fmt::Debug for Elastic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elastic").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Elastic {
    /// The API over `store`. What clients define (templates, policies) is kept in the file `definitions`, what they write goes
    /// into `book`; without one, nothing can be written. Reads that file, so it blocks.
    pub fn new(store: Store, definitions: PathBuf, book: Option<Arc<dyn Book>>) -> Result<Self, ElasticError> {
        Ok(Self {
            store,
            contexts: Arc::new(Contexts::default()),
            definitions: Arc::new(Definitions::open(definitions)?),
            claims: Arc::new(Claims::default()),
            caught_up: Arc::default(),
            services: Arc::default(),
            book,
        })
    }

    /// Where documents are written.
    pub(crate) fn book(&self) -> Result<Arc<dyn Book>, ElasticError> {
        self.book.clone().ok_or_else(|| ElasticError::Unwritable("it is opened for reading only".to_owned()))
    }

    /// Waits until the index knows all ids of before the start: what was written just before a crash may be on its way.
    pub(crate) async fn catch_up(&self) -> Result<(), ElasticError> {
        let caught_up = async {
            let is_indexed = self.store.refresh(Duration::from_secs(REFRESH_S_MAX)).await;
            is_indexed.then_some(()).ok_or(ElasticError::NotIndexed(REFRESH_S_MAX))
        };
        self.caught_up.get_or_try_init(|| caught_up).await.copied()
    }

    /// The index of a document of this time that is written to `target`.
    pub(crate) fn place(&self, target: &Target, time_ms: Option<i64>, now_ms: i64) -> Result<String, ElasticError> {
        let day = target.day(time_ms.unwrap_or(now_ms));
        let index = Store::name_of_day(&target.service, day);
        let now = Timestamp::from_millisecond(now_ms).unwrap_or_default();
        let today = tz::TimeZone::UTC.to_datetime(now).date();
        if today.checked_add(1.day()).is_ok_and(|tomorrow| day > tomorrow) {
            return Err(ElasticError::Parameter(format!("the index [{index}] is of a day that has not come yet")));
        }
        if !self.store.keeps(day) {
            return Err(ElasticError::Parameter(format!(
                "the index [{index}] is of a day that is not kept any more (`store.keep.days`)"
            )));
        }
        self.admit(&target.service)?;
        Ok(index)
    }

    /// Lets documents of a service in, unless there are too many services.
    fn admit(&self, service: &str) -> Result<(), ElasticError> {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if services.contains(service) {
            return Ok(());
        }
        let known = self.store.services();
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
}
