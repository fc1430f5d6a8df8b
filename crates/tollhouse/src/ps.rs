//! `tollhouse ps`, `start`, `stop`, `restart`, `confirm`: processes under supervision, asked of the house that runs.
//!
//! The console's own API is asked, with a session of a minute that whoever may read the state of the house can open.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde_json::{Value, json};
use tollhouse_config::Config;
use tollhouse_state::State;
use tollhouse_units::{Bytes as Size, format_duration};

use crate::cli::{OrderArgs, PsArgs};
use crate::search::cell;
use crate::table::aligned;
use crate::{keys, say};

/// How long the house may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(35);
/// How long the session could be used by somebody else.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60);
/// Largest answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;
const SESSION: &str = "/console/api/v1/session";
const PROCESSES: &str = "/console/api/v1/processes";
/// Where the running house notes its address, in `data_dir`.
const ADDRESS_FILE: &str = "address";
/// Columns of the table.
const COLUMNS: [&str; 7] = ["NAME", "STATE", "SINCE", "PID", "STARTS", "MEMORY", "WHY"];

/// Lists them.
pub(crate) async fn ps(args: &PsArgs) -> anyhow::Result<()> {
    let answer = ask(&args.config.load()?, &Method::GET, PROCESSES, None).await?;
    if args.json {
        return say(&format!("{:#}\n", answer["processes"]));
    }
    let processes = answer["processes"].as_array().cloned().unwrap_or_default();
    if processes.is_empty() {
        return say("no process is supervised; name some under `supervise`\n");
    }
    say(&table(&processes, Timestamp::now()))
}

/// Gives an order.
pub(crate) async fn order(order: &str, args: &OrderArgs) -> anyhow::Result<()> {
    let path = format!("{PROCESSES}/{}/{order}", segment(&args.name));
    let from = json!({"from": "command line"});
    let process = ask(&args.config.load()?, &Method::POST, &path, Some(from)).await?;
    if args.json { say(&format!("{process:#}\n")) } else { say(&table(&[process], Timestamp::now())) }
}

/// A name as one segment of a path (RFC 3986, 2.1).
fn segment(name: &str) -> String {
    let encoded = name.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    encoded.collect()
}

/// Notes where the house listens, for a configuration that leaves the port to the system.
pub(crate) fn note_address(config: &Config, address: SocketAddr) {
    let path = config.data_dir.join(ADDRESS_FILE);
    if let Err(error) = std::fs::write(&path, format!("{address}\n")) {
        tracing::warn!(error = %error, file = %path.display(), "noting where the house listens");
    }
}

/// Where the house listens: as the configuration says, or, where that leaves the port to the system, as the house has noted.
fn address(config: &Config) -> SocketAddr {
    let listen = config.listen.address;
    let noted = || std::fs::read_to_string(config.data_dir.join(ADDRESS_FILE)).ok()?.trim().parse().ok();
    let own = if listen.port() == 0 { noted().unwrap_or(listen) } else { listen };
    keys::reachable(own)
}

/// One call with a session of its own.
async fn ask(config: &Config, method: &Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
    let state = State::open(&config.data_dir).await?;
    let token = state.create_console_token(TOKEN_LIFETIME).await.context("making a console token")?;
    state.close().await;
    let house = HouseClient::new(config);
    let (_, cookie) = house.call(&Method::POST, SESSION, None, Some(json!({"token": token}))).await?;
    let cookie = cookie.context("the house opened no session")?;
    let answer = house.call(method, path, Some(&cookie), body).await;
    // It would end by itself, too.
    let _: anyhow::Result<_> = house.call(&Method::DELETE, SESSION, Some(&cookie), None).await;
    Ok(answer?.0)
}

/// The house that runs, as its configuration says where.
struct HouseClient {
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl HouseClient {
    fn new(config: &Config) -> Self {
        let address = address(config).to_string();
        Self { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// The answer as JSON, and a cookie that came with it.
    async fn call(
        &self,
        method: &Method,
        path: &str,
        cookie: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<(Value, Option<String>)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header(HOST, &self.address)
            .header(CONTENT_TYPE, "application/json")
            .header("x-tollhouse-console", "1");
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(body)).context("asking the house")?;
        let asked = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let cookie = response.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
            let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("reading the answer of the house: {error}"))?;
            anyhow::Ok((status, cookie, body.to_bytes()))
        };
        let answer = tokio::time::timeout(ANSWER_TIME_MAX, asked).await.context("the house did not answer in time")?;
        let not_there = || format!("asking the house at {}; does it run? (tollhouse up)", self.address);
        let (status, cookie, body) = answer.with_context(not_there)?;
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        match (status, value["error"].as_str()) {
            (status, _) if status.is_success() => Ok((value, cookie)),
            (StatusCode::UNAUTHORIZED, _) => {
                bail!("the house at {} has another `data_dir` than this configuration", self.address)
            }
            (_, Some(error)) => bail!("{error}"),
            (status, None) => bail!("the house answered {status}"),
        }
    }
}

/// A line for each, and why one is not as it should be.
fn table(processes: &[Value], now: Timestamp) -> String {
    let rows = processes.iter().map(|process| {
        let [name, state, since, pid, starts, memory] = row(process, now);
        let is_calm = matches!(process["state"].as_str(), Some("ready" | "stopped" | "starting"));
        let why = if is_calm { "-".to_owned() } else { cell(&process["reason"], 200) };
        [name, state, since, pid, starts, memory, why]
    });
    aligned(COLUMNS, rows)
}

fn row(process: &Value, now: Timestamp) -> [String; 6] {
    let ago = |field: &str| {
        let then: Timestamp = process[field].as_str()?.parse().ok()?;
        Some(now.as_second() - then.as_second())
    };
    let time = |seconds: i64| format_duration(Duration::from_secs(seconds.max(0).unsigned_abs()));
    let state = match (process["state"].as_str().unwrap_or("-"), ago("next_start")) {
        ("backoff", Some(ago)) => format!("backoff, again in {}", time(-ago)),
        ("paused", _) => "paused, confirm".to_owned(),
        (state, _) => state.to_owned(),
    };
    let used = process["memory_bytes"].as_u64().map(|used| Size(used / (1 << 20) * (1 << 20)));
    [
        cell(&process["name"], 40),
        state,
        ago("since").map_or_else(|| "-".to_owned(), time),
        cell(&process["pid"], 10),
        cell(&process["starts"], 10),
        used.map_or_else(|| "-".to_owned(), |used| used.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_people() {
        let now: Timestamp = "2026-01-27T10:00:00Z".parse().unwrap();
        let processes = [
            json!({"name": "ollama", "state": "ready", "since": "2026-01-27T09:59:00Z", "pid": 17, "starts": 2,
                   "reason": "it ended", "memory_bytes": 3_221_225_999_u64}),
            json!({"name": "chat", "state": "paused", "since": "2026-01-27T09:00:00Z", "starts": 5, "reason": "it ended"}),
            json!({"name": "job", "state": "backoff", "since": "2026-01-27T09:59:50Z", "next_start": "2026-01-27T10:00:20Z"}),
        ];
        let told = table(&processes, now);
        let lines: Vec<Vec<&str>> = told
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect();
        assert_eq!(lines[0], ["NAME", "STATE", "SINCE", "PID", "STARTS", "MEMORY", "WHY"]);
        assert_eq!(lines[1], ["ollama", "ready", "1m", "17", "2", "3GiB", "-"]);
        assert_eq!(lines[2], ["chat", "paused, confirm", "1h", "-", "5", "-", "it ended"]);
        assert_eq!(lines[3], ["job", "backoff, again in 20s", "10s", "-", "-", "-", "-"]);
    }

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(segment("a-b.c_1"), "a-b.c_1");
        assert_eq!(segment("../x é"), "..%2Fx%20%C3%A9");
    }
}
