//! Asks servers again and again whether they are well.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};
use http_body_util::{BodyExt, Limited};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tollhouse_units::chain;

use crate::balance::{Server, ServerSpec};
use crate::client::{Outgoing, Question, Reply, ServerClient};
use crate::kept::Kept;

/// How often is looked which servers are to be asked.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Servers that are asked at once; the others wait for the next look.
const ASKED_MAX: usize = 64;
/// The longest that a server may take for it.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Bytes of its answer that are read.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A server that counts from now on as another than before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    /// Where it is.
    pub server: String,
    /// Whether it is well.
    pub is_well: bool,
    /// Why not.
    pub error: Option<String>,
}

/// Who is told.
pub type TellHealth = Arc<dyn Fn(Health) + Send + Sync>;

impl Kept {
    /// Asks each server that is to be asked, and closes connections that nobody has used for long, for as long as it is polled.
    pub async fn watch(self: Arc<Self>, tell: TellHealth) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due: HashMap<ServerSpec, Instant> = HashMap::new();
        let mut asked: JoinSet<ServerSpec> = JoinSet::new();
        loop {
            looks.tick().await;
            while let Some(done) = asked.try_join_next() {
                if let Ok(spec) = done
                    && let Some(health) = &spec.health
                {
                    let next = Instant::now() + health.every;
                    due.insert(spec, next);
                }
            }
            let live = self.live();
            due.retain(|spec, _| live.iter().any(|server| server.spec == *spec));
            for server in live {
                server.idle.let_go();
                let is_due = due.get(&server.spec).is_none_or(|due| *due <= Instant::now());
                let Some(health) = server.spec.health.as_ref().filter(|_| is_due && asked.len() < ASKED_MAX) else {
                    continue;
                };
                let Ok(client) = self.client(server.spec.url.starts_with("https://")) else { continue };
                // Not again while it is asked, and again even if the question is lost.
                due.insert(server.spec.clone(), Instant::now() + ANSWER_MAX + health.every);
                asked.spawn(check(server, client, tell.clone()));
            }
        }
    }
}

async fn check(server: Arc<Server>, client: ServerClient, tell: TellHealth) -> ServerSpec {
    let spec = server.spec.clone();
    let Some(health) = &spec.health else { return spec };
    let within = health.every.max(Duration::from_secs(1)).min(ANSWER_MAX);
    let answer = tokio::time::timeout(within, ask(&server, &health.path, &client)).await;
    let error = match answer {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(_) => Some(format!("no answer within {within:?}")),
    };
    if let Some(is_well) = server.checked(error.is_none()) {
        tell(Health { server: spec.url.clone(), is_well, error });
    }
    spec
}

async fn ask(server: &Arc<Server>, path: &str, client: &ServerClient) -> Result<(), String> {
    let host = server.base.authority().and_then(|authority| HeaderValue::try_from(authority.as_str()).ok());
    let mut headers: HeaderMap = host.map(|host| (HOST, host)).into_iter().collect();
    headers.insert(USER_AGENT, HeaderValue::from_static("tollhouse"));
    let question = Question { method: &Method::GET, target: path, headers: &headers, wants_tunnel: false };
    let reply = client.ask(server, question, &mut Outgoing::Held(Bytes::new())).await.map_err(|error| chain(&error))?;
    let Reply::Content(answer) = reply else { return Err("it switches protocols".to_owned()) };
    let status = answer.status();
    // Read, so that the connection can be used again; a long answer ends it.
    let _: Result<_, _> = Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await;
    if status.is_success() || status.is_redirection() { Ok(()) } else { Err(format!("it answers {status}")) }
}
