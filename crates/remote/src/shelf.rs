//! Where documents are found: one form of asking for both places.

use std::collections::HashSet;
use std::time::Duration;

use jiff::civil::Date;
use serde_json::{Value, json};
use tollhouse_query::ast::{Query, SearchRequest};
use tollhouse_store::{IndexInfo, SearchResponse, Store};

use crate::error::ShelfError;
use crate::remote::{Remote, service_of};

/// Stands for no index: an empty list would mean all.
const NONE: &str = "-*";

/// Our own day indices, or a cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Shelf {
    /// Our own.
    Own(Store),
    /// A cluster that documents are shipped to.
    Far(Remote),
}

impl From<Store> for Shelf {
    fn from(store: Store) -> Self {
        Self::Own(store)
    }
}

impl Shelf {
    /// The names of all day indices, oldest first.
    pub async fn names(&self) -> Result<Vec<String>, ShelfError> {
        match self {
            Self::Own(store) => Ok(store.resolve("_all")?),
            Self::Far(remote) => Ok(remote.indices().await?.into_iter().map(|info| info.name).collect()),
        }
    }

    /// All day indices.
    pub async fn indices(&self) -> Result<Vec<IndexInfo>, ShelfError> {
        match self {
            Self::Own(store) => {
                let store = store.clone();
                blocking(move || Ok(store.indices())).await
            }
            Self::Far(remote) => Ok(remote.indices().await?),
        }
    }

    /// Searches these indices. `held` is let go when the search has ended, which in our own index is not when its asker
    /// has left.
    pub async fn search<H: Send + 'static>(
        &self,
        days: Vec<String>,
        request: SearchRequest,
        held: H,
    ) -> Result<SearchResponse, ShelfError> {
        match self {
            Self::Own(store) => {
                let store = store.clone();
                blocking(move || {
                    let _held = held;
                    Ok(store.search(&joined(&days), &request)?)
                })
                .await
            }
            Self::Far(remote) => {
                let _held = held;
                Ok(remote.search(&days, &request).await?)
            }
        }
    }

    /// Counts the documents of these indices that fulfil a query.
    pub async fn count<H: Send + 'static>(&self, days: Vec<String>, query: Query, held: H) -> Result<u64, ShelfError> {
        match self {
            Self::Own(store) => {
                let store = store.clone();
                blocking(move || {
                    let _held = held;
                    Ok(store.count(&joined(&days), &query)?)
                })
                .await
            }
            Self::Far(remote) => {
                let _held = held;
                Ok(remote.count(&days, query).await?)
            }
        }
    }

    /// `_mapping` of these indices.
    pub async fn mapping(&self, days: Vec<String>) -> Result<Value, ShelfError> {
        if days.is_empty() {
            return Ok(json!({}));
        }
        match self {
            Self::Own(store) => {
                let store = store.clone();
                blocking(move || Ok(store.mapping(&joined(&days))?)).await
            }
            Self::Far(remote) => Ok(remote.mapping(&days).await?),
        }
    }

    /// Which of these ids documents of an index have, as far as they can be found by now.
    pub async fn known_ids(&self, index: String, ids: Vec<String>) -> Result<HashSet<String>, ShelfError> {
        match self {
            Self::Own(store) => {
                let store = store.clone();
                blocking(move || Ok(store.known_ids(&index, &ids)?)).await
            }
            Self::Far(remote) => Ok(remote.known_ids(&index, &ids).await?),
        }
    }

    /// Makes an empty index of a service's day.
    pub async fn create(&self, service: String, day: Date) -> Result<(), ShelfError> {
        match self {
            Self::Own(store) => {
                let store = store.clone();
                blocking(move || Ok(store.create(&service, day).map(|_| ())?)).await
            }
            Self::Far(remote) => Ok(remote.create(&Store::name_of_day(&service, day)).await?),
        }
    }

    /// The services that have indices.
    pub async fn services(&self) -> Result<HashSet<String>, ShelfError> {
        match self {
            Self::Own(store) => Ok(store.services()),
            Self::Far(_) => {
                let names = self.names().await?;
                Ok(names.iter().filter_map(|name| service_of(name)).map(str::to_owned).collect())
            }
        }
    }

    /// Whether documents of this day are kept by their age; a cluster looks after that itself.
    pub fn keeps(&self, day: Date) -> bool {
        match self {
            Self::Own(store) => store.keeps(day),
            Self::Far(_) => true,
        }
    }

    /// Number of the last record whose document is in an index. Reads a small file where that is a cluster.
    pub fn indexed_seq(&self) -> u64 {
        match self {
            Self::Own(store) => store.indexed_seq(),
            Self::Far(remote) => remote.delivered(),
        }
    }

    /// Number of the last record whose document can be found at this moment.
    pub async fn horizon(&self) -> Result<u64, ShelfError> {
        match self {
            Self::Own(store) => Ok(store.indexed_seq()),
            Self::Far(remote) => Ok(remote.horizon().await?),
        }
    }

    /// Waits until the document of this record can be found; `false` when that took longer than `most`.
    pub async fn wait(&self, seq: u64, most: Duration) -> bool {
        match self {
            Self::Own(store) => store.wait_indexed(seq, most).await,
            Self::Far(remote) => remote.wait(seq, most).await,
        }
    }

    /// Waits until all that is in the journal at this moment can be found; `false` when that took longer than `most`.
    pub async fn refresh(&self, most: Duration) -> bool {
        match self {
            Self::Own(store) => store.refresh(most).await,
            Self::Far(remote) => remote.refresh(most).await,
        }
    }
}

fn joined(days: &[String]) -> String {
    if days.is_empty() { NONE.to_owned() } else { days.join(",") }
}

/// Runs what reads files where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ShelfError> + Send + 'static,
) -> Result<T, ShelfError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ShelfError::Internal))
}
