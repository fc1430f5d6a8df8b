//! What goes on over several requests: points in time, and scrolls through all that was found.
//!
//! The book is only added to, so a point in time is a number: that of the last record that could be found when it was
//! opened. Keeping one open costs its name and its request, no files. What retention or `DELETE` takes away meanwhile is
//! gone for it, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tollhouse_query::ast::{BoolQuery, Bound, Query, SearchRequest};
use tollhouse_store::Total;

use crate::error::ElasticError;
use crate::highlight::Highlight;

/// Points in time and scrolls that may be open; Elasticsearch's `search.max_open_scroll_context`.
const OPEN_MAX: usize = 500;
/// Bytes of the bodies of all open scrolls: each is kept as it was read.
const BODIES_BYTES_MAX: usize = 16 << 20;
/// Longest time between two requests; Elasticsearch's `search.max_keep_alive`.
const KEEP_ALIVE_MAX: Duration = Duration::from_hours(24);
const ID_BYTES: usize = 16;

/// The open ones by their ids.
#[derive(Default)]
pub(crate) struct Contexts {
    open: Mutex<HashMap<String, Open>>,
}

struct Open {
    context: Context,
    /// The key that it belongs to: to no other one there is such a context.
    by: Option<String>,
    until: Instant,
}

/// Which documents are looked at, and how far a scroll has come.
#[derive(Clone)]
pub(crate) struct Context {
    /// Names of indices, none of them a pattern.
    pub(crate) days: Vec<String>,
    /// The last record that there is for it.
    pub(crate) seq_max: u64,
    /// `None` for a point in time.
    pub(crate) scroll: Option<Scroll>,
}

/// A scroll between two pages.
#[derive(Clone)]
pub(crate) struct Scroll {
    /// What is asked for, behind the last hit of the page before.
    pub(crate) request: SearchRequest,
    /// Bytes of the body that it was read from.
    pub(crate) body_bytes: usize,
    /// How many there are; counted with the first page.
    pub(crate) total: Option<Total>,
    /// The request gave a sort, so that hits tell their values.
    pub(crate) is_sorted: bool,
    /// What is marked in hits.
    pub(crate) highlight: Option<Arc<Highlight>>,
}

impl Context {
    /// The query, of the records that there were.
    pub(crate) fn bounded(&self, query: Query) -> Query {
        let upper = Bound::Inclusive(self.seq_max.into());
        let there = Query::Range { field: "seq".into(), lower: Bound::Open, upper, time_zone: None };
        Query::Bool(BoolQuery { filter: vec![query, there], ..BoolQuery::default() })
    }

    fn bytes(&self) -> usize {
        self.scroll.as_ref().map_or(0, |scroll| scroll.body_bytes)
    }
}

impl Contexts {
    /// Opens one, for as long as it is used at least this often, and gives its id.
    pub(crate) fn open(
        &self,
        by: Option<&str>,
        context: Context,
        keep_alive: Duration,
    ) -> Result<String, ElasticError> {
        let mut bytes = [0; ID_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| ElasticError::Internal)?;
        let id = URL_SAFE_NO_PAD.encode(bytes);
        let mut open = self.lock();
        let now = Instant::now();
        open.retain(|_, open| open.until > now);
        let held: usize = open.values().map(|open| open.context.bytes()).sum();
        if open.len() >= OPEN_MAX || held + context.bytes() > BODIES_BYTES_MAX {
            return Err(ElasticError::TooManyContexts(OPEN_MAX));
        }
        open.insert(id.clone(), Open { context, by: by.map(str::to_owned), until: now + keep_alive });
        Ok(id)
    }

    /// The one of this id; keeps it open for as long again.
    pub(crate) fn get(
        &self,
        by: Option<&str>,
        id: &str,
        keep_alive: Option<Duration>,
    ) -> Result<Context, ElasticError> {
        if URL_SAFE_NO_PAD.decode(id).map_or(0, |bytes| bytes.len()) != ID_BYTES {
            return Err(ElasticError::Parameter(format!("Cannot parse scroll id or point in time id [{id}]")));
        }
        let mut open = self.lock();
        let now = Instant::now();
        let found = open.get_mut(id).filter(|open| open.until > now && open.by.as_deref() == by);
        let found = found.ok_or_else(|| ElasticError::ContextMissing(id.to_owned()))?;
        if let Some(keep_alive) = keep_alive {
            found.until = now + keep_alive;
        }
        Ok(found.context.clone())
    }

    /// Lets a scroll go on behind its last page.
    pub(crate) fn go_on(&self, id: &str, scroll: Scroll) {
        if let Some(open) = self.lock().get_mut(id) {
            open.context.scroll = Some(scroll);
        }
    }

    /// Closes those that are open, and says how many were.
    pub(crate) fn close<'a>(&self, by: Option<&str>, ids: impl Iterator<Item = &'a str>) -> usize {
        let mut open = self.lock();
        let now = Instant::now();
        ids.filter(|id| {
            let is_own = open.get(*id).is_some_and(|open| open.by.as_deref() == by);
            is_own && open.remove(*id).is_some_and(|open| open.until > now)
        })
        .count()
    }

    /// Closes all scrolls of a key, or all its points in time.
    pub(crate) fn close_all(&self, by: Option<&str>, scrolls: bool) -> usize {
        let mut open = self.lock();
        let before = open.len();
        open.retain(|_, open| open.context.scroll.is_some() != scrolls || open.by.as_deref() != by);
        before - open.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a time such as `1m` in which a next request has to come.
pub(crate) fn keep_alive(text: &str) -> Result<Duration, ElasticError> {
    let time = time(text).ok_or_else(|| {
        ElasticError::Parameter(format!(
            "failed to parse setting [keep_alive] with value [{text}] as a time value: unit is missing or unrecognized"
        ))
    })?;
    if time > KEEP_ALIVE_MAX {
        return Err(ElasticError::Parameter(format!(
            "Keep alive for request ({text}) is too large. It must be less than (1d). This limit can be set by changing the [search.max_keep_alive] cluster level setting."
        )));
    }
    Ok(time)
}

/// A number and a unit, as Elasticsearch writes times.
fn time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let nanos: u64 = match &text[digits..] {
        "nanos" => 1,
        "micros" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    number.checked_mul(nanos).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context { days: vec!["a".into()], seq_max: 1, scroll: None }
    }

    #[test]
    fn what_is_not_used_is_closed() {
        let contexts = Contexts::default();
        let id = contexts.open(None, context(), Duration::from_secs(60)).unwrap();
        assert!(contexts.get(None, &id, Some(Duration::ZERO)).is_ok());
        assert!(matches!(contexts.get(None, &id, None), Err(ElasticError::ContextMissing(_))));
        assert!(matches!(contexts.get(None, "no id", None), Err(ElasticError::Parameter(_))));
        assert_eq!(contexts.close(None, [id.as_str()].into_iter()), 0);
        let id = contexts.open(None, context(), Duration::from_secs(60)).unwrap();
        assert_eq!(contexts.close(None, [id.as_str(), "other"].into_iter()), 1);
    }

    #[test]
    fn each_key_has_its_own() {
        let contexts = Contexts::default();
        let id = contexts.open(Some("a"), context(), Duration::from_secs(60)).unwrap();
        for other in [None, Some("b")] {
            assert!(matches!(contexts.get(other, &id, None), Err(ElasticError::ContextMissing(_))));
            assert_eq!(contexts.close(other, [id.as_str()].into_iter()) + contexts.close_all(other, false), 0);
        }
        assert!(contexts.get(Some("a"), &id, None).is_ok());
        assert_eq!(contexts.close_all(Some("a"), false), 1);
    }

    #[test]
    fn there_is_a_most() {
        let contexts = Contexts::default();
        for _ in 0..OPEN_MAX {
            contexts.open(None, context(), Duration::from_secs(60)).unwrap();
        }
        assert!(matches!(
            contexts.open(None, context(), Duration::from_secs(60)),
            Err(ElasticError::TooManyContexts(_))
        ));
        assert_eq!(contexts.close_all(None, true), 0);
        assert_eq!(contexts.close_all(None, false), OPEN_MAX);
    }

    #[test]
    fn times() {
        assert_eq!(keep_alive("1m").unwrap(), Duration::from_secs(60));
        assert_eq!(keep_alive("500ms").unwrap(), Duration::from_millis(500));
        for wrong in ["", "m", "1", "1x", "-1m", "25h", "99999999999999999999d"] {
            assert!(keep_alive(wrong).is_err(), "{wrong}");
        }
    }
}
