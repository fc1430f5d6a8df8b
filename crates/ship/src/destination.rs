//! A destination that is ready to be asked: its client, and the few requests that shipping needs.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;

use crate::bulk::{self, Fate, Item, Refusal};
use crate::client::{Answer, Body, Client};
use crate::courier::blocking;
use crate::error::ShipError;
use crate::otlp;
use crate::settings::{Kind, Pace, Settings};
use crate::syslog::Syslog;
use crate::template;
use crate::trouble::{State, Trouble};

/// A destination with all that it needs: from here on nothing of the configuration can be wrong.
#[derive(Debug)]
pub struct Destination {
    pub(crate) settings: Settings,
    pub(crate) pace: Pace,
    pub(crate) way: Way,
}

/// How it is spoken to.
#[derive(Debug)]
pub(crate) enum Way {
    Cluster(Client),
    Otlp(Client),
    Syslog(Box<Syslog>),
}

/// Makes the body of a request.
type Pack = fn(&[Item]) -> Vec<u8>;
/// Reads what an answer says of so many documents, sent to this node.
type Reader = fn(Answer, usize, &str) -> Result<Sent, Trouble>;

/// What came of a request.
pub(crate) enum Sent {
    /// What became of each document.
    Fates(Vec<Fate>),
    /// None was taken: as they are together, they do not fit. Fewer may.
    Unfit(Refusal),
    /// All but so many were taken, and it is not told which.
    Partly {
        /// How many were not.
        rejected: u64,
        /// Why.
        reason: String,
    },
}

impl Destination {
    /// Reads files of certificates, so it blocks. Nothing is connected yet.
    pub fn new(settings: Settings) -> Result<Self, ShipError> {
        let client = || Client::new(&settings.name, &settings.urls, settings.login.as_ref(), settings.ca.as_deref());
        let way = match settings.kind {
            Kind::Elasticsearch | Kind::OpenSearch => Way::Cluster(client()?),
            Kind::Otlp => Way::Otlp(client()?),
            Kind::Syslog(message) => Way::Syslog(Box::new(Syslog::new(&settings, message)?)),
        };
        Ok(Self { settings, pace: Pace::default(), way })
    }

    /// The node that is asked now.
    pub(crate) fn url(&self) -> &str {
        match &self.way {
            Way::Cluster(client) | Way::Otlp(client) => client.url(),
            Way::Syslog(syslog) => syslog.url(),
        }
    }

    /// From now on the next node is asked.
    pub(crate) fn turn(&self) {
        match &self.way {
            Way::Cluster(client) | Way::Otlp(client) => client.turn(),
            Way::Syslog(syslog) => syslog.turn(),
        }
    }

    /// Leaves it in order.
    pub(crate) async fn end(&self) {
        if let Way::Syslog(syslog) = &self.way {
            syslog.end().await;
        }
    }

    /// The client of a cluster: only such a one can be searched.
    fn cluster(&self) -> Result<&Client, Trouble> {
        match &self.way {
            Way::Cluster(client) => Ok(client),
            Way::Otlp(_) | Way::Syslog(_) => {
                let what = self.settings.kind.as_str();
                Err(Trouble::new(State::Rejected, format!("what was sent by {what} cannot be asked for")))
            }
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Asks a cluster what it is, and gives its version as far as it tells; sends others nothing, to see whether they take it.
    pub(crate) async fn greet(&self) -> Result<Option<(u32, u32)>, Trouble> {
        let client = match &self.way {
            Way::Cluster(client) => client,
            Way::Otlp(_) => return self.send(Vec::new()).await.1.map(|_| None),
            Way::Syslog(syslog) => return syslog.greet().await.map(|()| None),
        };
        let answer = client.ask(Method::GET, "/", Body::None).await?;
        let told: Value = match answer.status {
            StatusCode::OK => serde_json::from_slice(&answer.body).map_err(|_| {
                Trouble::new(State::Rejected, format!("{}: what answers there is no cluster", client.url()))
            })?,
            // A login that may write need not be let ask that, and a cluster made of few parts does not tell.
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => return Ok(None),
            status => return Err(Trouble::of_answer(status, &answer.body, answer.retry_after)),
        };
        let is_opensearch = told["version"]["distribution"] == "opensearch";
        let (wanted, found) = (self.settings.kind, if is_opensearch { Kind::OpenSearch } else { Kind::Elasticsearch });
        if wanted == found {
            return Ok(version(&told));
        }
        let text = format!("{} is not {}: write `kind: {}`", client.url(), wanted.as_str(), found.as_str());
        Err(Trouble::new(State::Rejected, text))
    }

    /// Puts our template for the indices of a service there.
    pub(crate) async fn put_template(&self, service: &str, version: Option<(u32, u32)>) -> Result<(), Trouble> {
        let body = template::template(service, self.settings.kind, version).to_string();
        let path = format!("/_index_template/{}", template::name(service));
        self.cluster()?.ask_well(Method::PUT, &path, Body::Json(body.into())).await.map(|_| ()).map_err(|trouble| {
            let advice = if trouble.state == State::Rejected {
                " (where somebody else looks after index templates, write `template: false`)"
            } else {
                ""
            };
            Trouble { text: format!("putting the index template: {}{advice}", trouble.text), ..trouble }
        })
    }

    /// Sends documents, and gives them back with what came of it.
    pub(crate) async fn send(&self, items: Vec<Item>) -> (Vec<Item>, Result<Sent, Trouble>) {
        let (client, pack) = match &self.way {
            Way::Cluster(client) => (client, bulk::body as Pack),
            Way::Otlp(client) => (client, otlp::body as Pack),
            Way::Syslog(syslog) => return syslog.send(items).await,
        };
        let (items, body) = blocking(move || {
            let body = pack(&items);
            (items, body)
        })
        .await;
        let (path, body, read) = match &self.way {
            Way::Otlp(client) => (otlp::path(client.url()), Body::PackedProtobuf(body.into()), otlp::sent as Reader),
            _ => (bulk::PATH, Body::PackedLines(body.into()), sent as Reader),
        };
        let answer = client.ask(Method::POST, path, body).await;
        let result = answer.and_then(|answer| read(answer, items.len(), client.url()));
        (items, result)
    }

    /// Searches the day indices of all services.
    pub(crate) async fn search(&self, body: &Value) -> Result<Value, Trouble> {
        let path = format!("/{}/_search?ignore_unavailable=true&allow_no_indices=true", all_days());
        let answer = self.cluster()?.ask_well(Method::POST, &path, Body::Json(body.to_string().into())).await?;
        parsed(&answer, self.url())
    }

    /// Makes all that was delivered findable.
    pub(crate) async fn refresh(&self) -> Result<(), Trouble> {
        let path = format!("/{}/_refresh?ignore_unavailable=true&allow_no_indices=true", all_days());
        self.cluster()?.ask_well(Method::POST, &path, Body::None).await.map(|_| ())
    }
}

fn sent(answer: Answer, items: usize, url: &str) -> Result<Sent, Trouble> {
    let Answer { status, retry_after, body } = answer;
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let reason = "the request is too large, with this document alone".to_owned();
            Ok(Sent::Unfit(Refusal { status: 413, kind: "too_large".to_owned(), reason }))
        }
        status if status.is_success() => match bulk::fates(&body, items) {
            Ok(fates) => Ok(Sent::Fates(fates)),
            Err(why) => Err(Trouble::new(State::Unreachable, format!("{url}: {why}"))),
        },
        status => Err(Trouble::of_answer(status, &body, retry_after)),
    }
}

/// The day indices of all services, as a path names them.
fn all_days() -> String {
    template::patterns("*").join(",")
}

fn parsed(answer: &Bytes, url: &str) -> Result<Value, Trouble> {
    serde_json::from_slice(answer)
        .map_err(|error| Trouble::new(State::Unreachable, format!("{url}: its answer is not JSON: {error}")))
}

/// Major and minor version.
fn version(told: &Value) -> Option<(u32, u32)> {
    let mut parts = told["version"]["number"].as_str()?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
