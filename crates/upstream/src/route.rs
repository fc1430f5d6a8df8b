//! Which models there are under which names, and which servers have them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tollhouse_dialect::ServerDefaults;

use crate::backend::Backend;
use crate::kind::Listed;
use crate::scheduler::{ServerId, Stop};
use crate::{ModelSpec, SetupError};

/// The configured models; without any, what the servers list is served as it is.
#[derive(Debug, Default)]
pub(crate) struct Models {
    pub(crate) all: Vec<Configured>,
    /// Name or alias → place in `all`.
    names: HashMap<String, usize>,
}

/// A configured model.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) spec: ModelSpec,
    pub(crate) public: Arc<str>,
    pub(crate) defaults: ServerDefaults,
    pub(crate) stops: Arc<[Stop]>,
}

/// Who has a model, and what to ask them.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// Each server once, the most preferred first; never none.
    pub(crate) stops: Arc<[Stop]>,
    pub(crate) public: Arc<str>,
    /// Place in [`Models::all`].
    pub(crate) configured: Option<usize>,
}

impl Models {
    pub(crate) fn new(specs: Vec<ModelSpec>, backends: &[Backend]) -> Result<Self, SetupError> {
        let mut models = Self::default();
        for spec in specs {
            for name in spec.aliases.iter().chain([&spec.name]) {
                if models.names.insert(name.clone(), models.all.len()).is_some() {
                    return Err(SetupError::Duplicate(name.clone()));
                }
            }
            let stops = stops(&spec, backends)?;
            models.all.push(Configured { public: spec.name.as_str().into(), defaults: defaults(&spec), stops, spec });
        }
        Ok(models)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The way to the model of this name or alias.
    pub(crate) fn route(&self, name: &str) -> Option<Route> {
        let place = *self.names.get(name)?;
        self.route_at(place)
    }

    pub(crate) fn route_at(&self, place: usize) -> Option<Route> {
        let Configured { public, stops, .. } = self.all.get(place)?;
        let (stops, public) = (Arc::clone(stops), Arc::clone(public));
        Some(Route { stops, public, configured: Some(place) }).filter(|route| !route.stops.is_empty())
    }

    pub(crate) fn configured(&self, route: &Route) -> Option<&Configured> {
        self.all.get(route.configured?)
    }
}

/// The way to a model that servers list: all who have it are equal.
pub(crate) fn listed_route(name: &str, backends: &[Backend], lists: &[Option<Arc<[Listed]>>]) -> Option<Route> {
    let has = |(backend, list): (&Backend, &Option<Arc<[Listed]>>)| {
        let mut models = list.as_ref()?.iter();
        let listed = models.find(|listed| backend.kind().is_name_of(name, &listed.name))?;
        Some(Stop { server: backend.id(), tier: 0, model: listed.name.as_str().into() })
    };
    let stops: Arc<[Stop]> = backends.iter().zip(lists).filter_map(has).collect();
    let public = Arc::clone(&stops.first()?.model);
    Some(Route { stops, public, configured: None })
}

/// The way to a model of servers that have never told what they have: they are taken on trust.
pub(crate) fn trusted_route(name: &str, backends: &[Backend], lists: &[Option<Arc<[Listed]>>]) -> Option<Route> {
    let public: Arc<str> = name.into();
    let never_told = backends.iter().zip(lists).filter(|(_, list)| list.is_none());
    let stops: Arc<[Stop]> =
        never_told.map(|(backend, _)| Stop { server: backend.id(), tier: 0, model: Arc::clone(&public) }).collect();
    Some(Route { stops, public, configured: None }).filter(|route| !route.stops.is_empty())
}

fn stops(spec: &ModelSpec, backends: &[Backend]) -> Result<Arc<[Stop]>, SetupError> {
    let model: Arc<str> = spec.name.as_str().into();
    let stop = |tier, server| Stop { server, tier, model: Arc::clone(&model) };
    if spec.tiers.is_empty() {
        return Ok((0..).zip(backends).map(|(tier, backend)| stop(tier, backend.id())).collect());
    }
    let mut stops: Vec<Stop> = Vec::new();
    for (tier, names) in (0..).zip(&spec.tiers) {
        for name in names {
            let backend = backends.iter().find(|backend| **backend.name() == **name);
            let server: ServerId = backend
                .map(Backend::id)
                .ok_or_else(|| SetupError::UnknownUpstream { model: spec.name.clone(), upstream: name.clone() })?;
            if stops.iter().all(|stop| stop.server != server) {
                stops.push(stop(tier, server));
            }
        }
    }
    Ok(stops.into())
}

fn defaults(spec: &ModelSpec) -> ServerDefaults {
    // Ollama takes seconds as a number only, durations as text.
    let keep_alive = |text: &String| text.parse::<i64>().map_or_else(|_| Value::from(text.as_str()), Value::from);
    ServerDefaults {
        num_ctx: spec.context,
        keep_alive: spec.keep_alive.as_ref().map(keep_alive),
        options: spec.options.clone(),
    }
}
