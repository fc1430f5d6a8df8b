//! A cluster that keeps documents by their ids, and fails as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tollhouse_testkit::PATIENCE;

/// How a `_bulk` request is answered.
pub(crate) enum Reply {
    /// Each document by itself: the status and type of error of a number's document, or it is taken.
    Each(Box<dyn Fn(u64) -> Option<(u16, &'static str)>>),
    /// The whole request so, with this `Retry-After`.
    Whole(u16, Option<u32>),
}

type Plan = Box<dyn FnMut(usize, &[u64]) -> Reply + Send>;

/// A listening cluster; it ends when dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    held: Arc<Held>,
    accepting: JoinHandle<()>,
}

struct Held {
    pages: Mutex<Pages>,
    changed: watch::Sender<()>,
}

struct Pages {
    plan: Plan,
    documents: BTreeMap<String, (String, Value)>,
    /// Numbers in the order in which their documents were taken.
    order: Vec<u64>,
    /// Method and path of each request.
    asked: Vec<String>,
    /// Numbers in each `_bulk` request.
    bulks: Vec<Vec<u64>>,
    authorizations: BTreeSet<String>,
}

impl Peer {
    pub(crate) async fn start(plan: impl FnMut(usize, &[u64]) -> Reply + Send + 'static) -> Self {
        Self::start_with(None, plan).await
    }

    pub(crate) async fn start_with(
        tls: Option<TlsAcceptor>,
        plan: impl FnMut(usize, &[u64]) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Pages {
            plan: Box::new(plan),
            documents: BTreeMap::new(),
            order: Vec::new(),
            asked: Vec::new(),
            bulks: Vec::new(),
            authorizations: BTreeSet::new(),
        };
        let held = Arc::new(Held { pages: Mutex::new(pages), changed: watch::Sender::new(()) });
        let accepting = tokio::spawn(accept(listener, tls, held.clone()));
        Self { address, held, accepting }
    }

    fn read<T>(&self, look: impl FnOnce(&Pages) -> T) -> T {
        look(&self.held.pages.lock().unwrap())
    }

    /// Waits until this holds for the numbers of the documents that are there.
    pub(crate) async fn until(&self, what: &str, met: impl Fn(&BTreeMap<u64, usize>) -> bool) {
        let mut changed = self.held.changed.subscribe();
        let waiting = async {
            while !met(&self.times()) {
                changed.changed().await.unwrap();
            }
        };
        assert!(timeout(PATIENCE, waiting).await.is_ok(), "not in time: {what}; {:?}", self.times());
    }

    /// How many documents there are of each number.
    pub(crate) fn times(&self) -> BTreeMap<u64, usize> {
        self.read(|pages| {
            let mut times = BTreeMap::new();
            for (_, document) in pages.documents.values() {
                *times.entry(document["seq"].as_u64().unwrap()).or_default() += 1;
            }
            times
        })
    }

    pub(crate) fn order(&self) -> Vec<u64> {
        self.read(|pages| pages.order.clone())
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.read(|pages| pages.asked.clone())
    }

    pub(crate) fn bulks(&self) -> Vec<Vec<u64>> {
        self.read(|pages| pages.bulks.clone())
    }

    pub(crate) fn authorizations(&self) -> Vec<String> {
        self.read(|pages| pages.authorizations.iter().cloned().collect())
    }

    pub(crate) fn forget(&self, id_begins: &str) {
        self.held.pages.lock().unwrap().documents.retain(|id, _| !id.starts_with(id_begins));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, held: Arc<Held>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (held, tls) = (held.clone(), tls.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| answer(held.clone(), request));
            let http = hyper::server::conn::http1::Builder::new();
            // An error is a client that left.
            match tls {
                None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                Some(tls) => {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                }
            }
        });
    }
}

async fn answer(held: Arc<Held>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // A client that leaves in mid-request gets, and changes, nothing.
    let Ok(body) = body.collect().await else { return Ok(Response::new(Full::default())) };
    let body = body.to_bytes();
    let answer = {
        let mut pages = held.pages.lock().unwrap();
        pages.asked.push(format!("{} {}", head.method, head.uri.path()));
        let authorization = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        pages.authorizations.extend(authorization);
        match head.uri.path() {
            "/" => json_response(200, &json!({"version": {"number": "8.19.0"}}), None),
            "/_bulk" => bulk(&mut pages, &body),
            path if path.ends_with("/_search") => search(&pages, &body),
            _ => json_response(200, &json!({"acknowledged": true}), None),
        }
    };
    held.changed.send_replace(());
    Ok(answer)
}

fn bulk(pages: &mut Pages, body: &[u8]) -> Response<Full<Bytes>> {
    let mut text = String::new();
    GzDecoder::new(body).read_to_string(&mut text).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<u64> = lines.iter().skip(1).step_by(2).map(|document| document["seq"].as_u64().unwrap()).collect();
    pages.bulks.push(seqs.clone());
    let number = pages.bulks.len() - 1;
    let each = match (pages.plan)(number, &seqs) {
        Reply::Whole(status, retry_after) => return json_response(status, &json!({"error": "told to"}), retry_after),
        Reply::Each(each) => each,
    };
    let mut items = Vec::new();
    for pair in lines.chunks(2) {
        let (index, id) = (&pair[0]["create"]["_index"], pair[0]["create"]["_id"].as_str().unwrap());
        let seq = pair[1]["seq"].as_u64().unwrap();
        let told = match each(seq) {
            Some((status, kind)) => json!({"status": status, "error": {"type": kind, "reason": "told to"}}),
            None if pages.documents.contains_key(id) => {
                json!({"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "is there"}})
            }
            None => {
                pages.order.push(seq);
                let index = index.as_str().unwrap().to_owned();
                pages.documents.insert(id.to_owned(), (index, pair[1].clone()));
                json!({"status": 201})
            }
        };
        items.push(json!({"create": told}));
    }
    json_response(200, &json!({"errors": true, "items": items}), None)
}

fn search(pages: &Pages, body: &[u8]) -> Response<Full<Bytes>> {
    let body: Value = serde_json::from_slice(body).unwrap();
    let bound = |name: &str| body["query"]["bool"]["should"][1]["range"]["seq"][name].as_u64().unwrap();
    let within = bound("gte")..=bound("lte");
    let hits: Vec<Value> = pages
        .documents
        .iter()
        .filter(|(_, (_, document))| within.contains(&document["seq"].as_u64().unwrap()))
        .map(|(id, (index, _))| json!({"_id": id, "_index": index}))
        .collect();
    json_response(200, &json!({"timed_out": false, "_shards": {"failed": 0}, "hits": {"hits": hits}}), None)
}

fn json_response(status: u16, body: &Value, retry_after: Option<u32>) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(Full::new(body.to_string().into())).unwrap()
}
