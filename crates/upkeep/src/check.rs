//! Asks a process whether it is ready.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{Request, Uri};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::spec::Readiness;

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
const HTTP_PORT: u16 = 80;

/// Whether it answers where it can be asked, else what came instead. Of what cannot be asked nothing is said.
pub(crate) async fn answers(ask: &Readiness) -> Result<(), String> {
    let asked = async {
        match ask {
            Readiness::Http(uri) => get(uri).await,
            Readiness::Port(port) => connect(&Ipv4Addr::LOCALHOST.to_string(), *port).await.map(drop),
            Readiness::Runs | Readiness::Line(_) | Readiness::Notify => Ok(()),
        }
    };
    timeout(ANSWER_TIME_MAX, asked).await.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_TIME_MAX:?}")))
}

/// The place at which it would be asked, where connections are taken there already.
pub(crate) async fn taken(ask: &Readiness) -> Option<String> {
    let (host, port) = match ask {
        Readiness::Http(uri) => (host(uri).to_owned(), uri.port_u16().unwrap_or(HTTP_PORT)),
        Readiness::Port(port) => (Ipv4Addr::LOCALHOST.to_string(), *port),
        Readiness::Runs | Readiness::Line(_) | Readiness::Notify => return None,
    };
    timeout(ANSWER_TIME_MAX, connect(&host, port)).await.ok()?.ok()?;
    Some(format!("{host}:{port}"))
}

fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((host, port)).await.map_err(|error| format!("no connection to {host}:{port}: {error}"))
}

async fn get(uri: &Uri) -> Result<(), String> {
    let stream = connect(host(uri), uri.port_u16().unwrap_or(HTTP_PORT)).await?;
    let failed = |error: hyper::Error| format!("no answer: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::get(path).header(HOST, authority).header(USER_AGENT, "tollhouse");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    // Its body is not read: what drives the connection is dropped with the answer.
    let response = tokio::select! {
        response = sender.send_request(request) => response.map_err(failed)?,
        ended = connection => return Err(ended.err().map_or_else(|| "no answer".to_owned(), failed)),
    };
    match response.status().as_u16() {
        status @ 400.. => Err(format!("it answers with status {status}")),
        _ => Ok(()),
    }
}
