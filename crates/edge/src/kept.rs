//! What goes on while sites change: answers to authorities that look at names, servers behind routes and the connections to them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use http::Uri;

use crate::acme::Challenges;
use crate::balance::{Server, ServerSpec, Servers};
use crate::client::ServerClient;
use crate::error::EdgeError;
use crate::spec::{Balance, HealthSpec};

/// What goes on while sites change. One is made for a house, and given to each [`crate::Edge`].
#[derive(Default)]
pub struct Kept {
    challenges: Arc<Challenges>,
    /// Those of the sites in force, and of requests that run in older ones.
    servers: Mutex<HashMap<ServerSpec, Weak<Server>>>,
    plain: OnceLock<ServerClient>,
    encrypted: OnceLock<ServerClient>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("servers", &self.live().len()).finish_non_exhaustive()
    }
}

impl Kept {
    /// What authorities are answered that look at names.
    pub fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
    }

    /// These servers, each as it is known if it was there before.
    pub(crate) fn servers(
        &self,
        urls: &[String],
        balance: Balance,
        health: Option<&HealthSpec>,
        slow_start: Option<Duration>,
    ) -> Result<Servers, EdgeError> {
        let mut known = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, server| server.strong_count() > 0);
        let mut all = Vec::with_capacity(urls.len());
        for url in urls {
            let wrong = |why: String| EdgeError::Url { url: url.clone(), why };
            let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
            if uri.authority().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
                return Err(wrong("it is no address such as http://127.0.0.1:3000".to_owned()));
            }
            let spec = ServerSpec { url: url.clone(), health: health.cloned(), slow_start };
            let server = known.get(&spec).and_then(Weak::upgrade).unwrap_or_else(|| {
                let server = Arc::new(Server::new(spec.clone(), uri));
                known.insert(spec, Arc::downgrade(&server));
                server
            });
            all.push(server);
        }
        Ok(Servers::new(all, balance))
    }

    /// All servers of which somebody still makes use.
    pub(crate) fn live(&self) -> Vec<Arc<Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).values().filter_map(Weak::upgrade).collect()
    }

    /// How servers are reached; `is_encrypted` where one of them is behind TLS. The authorities of this machine are read at its
    /// first use, which blocks.
    pub(crate) fn client(&self, is_encrypted: bool) -> Result<ServerClient, EdgeError> {
        let place = if is_encrypted { &self.encrypted } else { &self.plain };
        if let Some(client) = place.get() {
            return Ok(client.clone());
        }
        let client = ServerClient::new(is_encrypted)?;
        Ok(place.get_or_init(|| client).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_server_goes_on_while_its_routes_stay_the_same() {
        let kept = Kept::default();
        let urls = ["http://a.example:1".to_owned(), "https://b.example".to_owned()];
        let before = kept.servers(&urls, Balance::Least, None, None).unwrap();
        kept.live().iter().for_each(|server| server.failed());
        let client = "127.0.0.1".parse().unwrap();
        let first = before.order(client, "/").remove(0);
        let after = kept.servers(&urls, Balance::Least, None, None).unwrap();
        assert!(after.order(client, "/").iter().any(|server| Arc::ptr_eq(server, &first)));
        let health = HealthSpec { path: "/healthz".to_owned(), every: Duration::from_secs(1) };
        kept.servers(&urls[..1], Balance::Least, Some(&health), None).unwrap();
        drop((before, after, first));
        assert!(kept.live().is_empty(), "nobody makes use of them any more");
        assert!(kept.servers(&["ftp://a".to_owned()], Balance::Least, None, None).is_err());
    }
}
