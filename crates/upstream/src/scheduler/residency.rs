//! Which models a server has loaded, as far as can be told, and which request would throw one out.
//!
//! A server that loads models on demand (Ollama) has memory for a few. A request for another one makes it throw one out,
//! which costs seconds to minutes, and the next request for the first costs them again. So the scheduler prefers what is
//! loaded, and to do that it has to believe something between two looks at the server's own list: a request that was sent
//! makes its model loaded, and throws out every model that has not been seen beside it.

use std::collections::HashSet;
use std::sync::Arc;

/// Most models of one server that are remembered as having been tried; then all are learnt anew.
const TRIED_MAX: usize = 256;
/// Most pairs of models that are remembered as having been loaded at the same time.
const PAIRS_MAX: usize = 1024;

/// What is believed of one server.
#[derive(Debug, Default)]
pub(crate) struct Residency {
    /// Whether the server loads and throws out models on demand at all.
    swaps: bool,
    loaded: Vec<Arc<str>>,
    /// Requests that were sent and have not been answered yet, by model: their model may be loading.
    awaited: Vec<(Arc<str>, u32)>,
    /// Models that have been asked for here.
    tried: HashSet<Arc<str>>,
    /// How often a request was sent that changed what is believed to be loaded.
    changes: u64,
    /// Pairs that were loaded at the same time.
    together: Vec<(Arc<str>, Arc<str>)>,
}

/// What a request for a model would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Heat {
    /// The model is loaded.
    Loaded,
    /// It has to be loaded, and nothing is known to make way for it.
    Loads,
    /// A loaded model has to make way for it.
    Evicts,
}

/// A model's name without the tag that Ollama adds where there is none.
fn bare(model: &str) -> &str {
    model.strip_suffix(":latest").unwrap_or(model)
}

fn is_same(one: &str, other: &str) -> bool {
    bare(one) == bare(other)
}

impl Residency {
    pub(crate) fn new(swaps: bool) -> Self {
        Self { swaps, ..Self::default() }
    }

    pub(crate) fn heat(&self, model: &str) -> Heat {
        if !self.swaps || self.is_loaded(model) {
            Heat::Loaded
        } else if self.tried.contains(bare(model)) && self.loaded.iter().any(|other| !self.fit(model, other)) {
            Heat::Evicts
        } else {
            // A model that was never asked for may fit beside the others: it is worth one try to know.
            Heat::Loads
        }
    }

    /// The models that are believed to be loaded.
    pub(crate) fn loaded(&self) -> &[Arc<str>] {
        &self.loaded
    }

    /// Whether more than one model has been asked for here.
    pub(crate) fn has_several(&self) -> bool {
        self.tried.len() > 1
    }

    /// A request for this model is sent.
    pub(crate) fn sent(&mut self, model: &Arc<str>) {
        if !self.swaps {
            return;
        }
        match self.awaited.iter_mut().find(|(awaited, _)| is_same(awaited, model)) {
            Some((_, count)) => *count += 1,
            None => self.awaited.push((Arc::clone(model), 1)),
        }
        if self.is_loaded(model) {
            return;
        }
        self.changes += 1;
        let mut loaded = std::mem::take(&mut self.loaded);
        loaded.retain(|other| self.fit(model, other));
        loaded.push(Arc::clone(model));
        self.loaded = loaded;
        if self.tried.len() >= TRIED_MAX {
            self.tried.clear();
        }
        self.tried.insert(bare(model).into());
    }

    /// A request for this model is answered, or given up.
    pub(crate) fn answered(&mut self, model: &str) {
        if let Some(place) = self.awaited.iter().position(|(awaited, _)| is_same(awaited, model)) {
            self.awaited[place].1 -= 1;
            if self.awaited[place].1 == 0 {
                self.awaited.swap_remove(place);
            }
        }
    }

    /// To be noted before the server is asked for its list.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// The server's own list, which was asked for at `changes`. It is of the past when another model has been sent for
    /// since then, or while one may be loading: then a model that makes way may still stand in it.
    pub(crate) fn told(&mut self, loaded: &[Arc<str>], changes: u64) {
        let is_loading = self.awaited.iter().any(|(model, _)| !loaded.iter().any(|loaded| is_same(loaded, model)));
        if is_loading || changes != self.changes {
            return;
        }
        if !self.awaited.is_empty() {
            self.loaded = loaded.to_vec();
            return;
        }
        for (place, one) in loaded.iter().enumerate() {
            for other in &loaded[place + 1..] {
                if self.together.len() < PAIRS_MAX && !self.fit(one, other) {
                    self.together.push((Arc::clone(one), Arc::clone(other)));
                }
            }
        }
        self.loaded = loaded.to_vec();
    }

    /// A request had to wait until its model was loaded: what was thought to have room beside it may have made way.
    pub(crate) fn was_loaded(&mut self, model: &str) {
        self.together.retain(|(one, other)| !is_same(one, model) && !is_same(other, model));
    }

    fn is_loaded(&self, model: &str) -> bool {
        self.loaded.iter().any(|loaded| is_same(loaded, model))
    }

    fn fit(&self, one: &str, other: &str) -> bool {
        let is = |pair: &(Arc<str>, Arc<str>), a, b| is_same(&pair.0, a) && is_same(&pair.1, b);
        self.together.iter().any(|pair| is(pair, one, other) || is(pair, other, one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(model: &str) -> Arc<str> {
        model.into()
    }

    #[test]
    fn what_was_sent_last_is_believed_to_be_loaded_alone() {
        let mut server = Residency::new(true);
        assert_eq!(server.heat("a"), Heat::Loads);
        server.sent(&name("a"));
        assert_eq!((server.heat("a"), server.heat("b")), (Heat::Loaded, Heat::Loads), "b is worth one try");
        server.sent(&name("b"));
        assert_eq!((server.heat("a"), server.heat("b")), (Heat::Evicts, Heat::Loaded));
    }

    #[test]
    fn models_that_were_seen_together_do_not_evict_each_other() {
        let mut server = Residency::new(true);
        for model in ["a", "b"] {
            server.sent(&name(model));
            server.answered(model);
        }
        server.told(&[name("a"), name("b")], server.changes());
        assert_eq!((server.heat("a"), server.heat("b")), (Heat::Loaded, Heat::Loaded));
        server.told(&[name("b")], server.changes());
        assert_eq!(server.heat("a"), Heat::Loads, "it was unloaded for want of use, and fits");
        server.sent(&name("a"));
        assert_eq!(server.loaded().len(), 2);
    }

    #[test]
    fn a_list_from_before_the_load_is_not_believed() {
        let mut server = Residency::new(true);
        for model in ["a", "b", "a", "b"] {
            server.sent(&name(model));
        }
        server.told(&[name("a")], server.changes());
        assert_eq!(server.heat("a"), Heat::Evicts, "b is on its way and will throw it out");
        for model in ["a", "b", "a", "b"] {
            server.answered(model);
        }
        server.told(&[name("a")], server.changes());
        assert_eq!(server.heat("a"), Heat::Loaded);
    }

    #[test]
    fn a_list_in_the_middle_of_a_change_makes_no_pair() {
        let mut server = Residency::new(true);
        server.sent(&name("a"));
        server.answered("a");
        let before = server.changes();
        server.sent(&name("b"));
        server.told(&[name("a"), name("b")], server.changes());
        assert_eq!(server.heat("a"), Heat::Loaded, "as the server says, for now");
        server.answered("b");
        server.told(&[name("a")], before);
        assert_eq!(server.heat("b"), Heat::Loaded, "the list was asked for before b was sent for");
        server.told(&[name("b")], server.changes());
        assert_eq!(server.heat("a"), Heat::Evicts, "they are no pair");
        server.told(&[name("a"), name("b")], server.changes());
        server.told(&[name("b")], server.changes());
        assert_eq!(server.heat("a"), Heat::Loads, "now they are");
        server.was_loaded("a");
        assert_eq!(server.heat("a"), Heat::Evicts, "it had to be loaded, so b may have made way");
    }

    #[test]
    fn servers_that_do_not_swap_have_everything() {
        let mut server = Residency::new(false);
        server.sent(&name("a"));
        assert_eq!(server.heat("b"), Heat::Loaded);
    }
}
