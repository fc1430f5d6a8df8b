//! Who answers: a model server, or the built-in talker.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::Kind;
use crate::demo::DEMO_MODEL;
use crate::kept::Known;
use crate::kind::Listed;
use crate::scheduler::{Lane, ServerId};
use crate::server::Server;

pub(crate) enum Backend {
    Remote(Arc<Server>),
    Demo { name: Arc<str>, lane: Arc<Lane> },
}

impl Backend {
    pub(crate) fn name(&self) -> &Arc<str> {
        match self {
            Self::Remote(server) => &server.name,
            Self::Demo { name, .. } => name,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.server().map_or(Kind::Demo, |server| server.kind)
    }

    pub(crate) fn lane(&self) -> &Lane {
        match self {
            Self::Remote(server) => &server.state.lane,
            Self::Demo { lane, .. } => lane,
        }
    }

    pub(crate) fn id(&self) -> ServerId {
        self.lane().id()
    }

    pub(crate) fn server(&self) -> Option<&Arc<Server>> {
        match self {
            Self::Remote(server) => Some(server),
            Self::Demo { .. } => None,
        }
    }

    /// The list of its models, heard again if it is older than `age_max`.
    pub(crate) async fn list(&self, age_max: Duration) -> Option<Arc<[Listed]>> {
        match self {
            Self::Remote(server) => server.models(age_max).await.told,
            Self::Demo { .. } => Some(demo_list()),
        }
    }

    /// The list of its models as last heard, heard again in the background if it is older than `age_max`.
    pub(crate) fn list_now(&self, age_max: Duration) -> Known<[Listed]> {
        match self {
            Self::Remote(server) => server.models_now(age_max),
            Self::Demo { .. } => Known::for_ever(demo_list()),
        }
    }

    /// The same, but waited for a moment where what is known cannot be believed.
    pub(crate) async fn list_soon(&self, age_max: Duration) -> Option<Arc<[Listed]>> {
        match self {
            Self::Remote(server) => server.models_soon(age_max).await.told,
            Self::Demo { .. } => Some(demo_list()),
        }
    }
}

fn demo_list() -> Arc<[Listed]> {
    Arc::from([Listed { name: DEMO_MODEL.to_owned(), created_unix: 0, window: None, details: Value::Null }])
}
