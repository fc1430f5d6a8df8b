//! The edge of the house: its sites through TLS, and whoever comes to them without.

pub(crate) mod renewing;
pub(crate) mod visits;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use http::header::{HOST, HeaderValue};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;
use tollhouse_config::{
    BalanceConfig, Config, EdgeConfig, HeadersConfig, RecordsConfig, RouteConfig, RouteTarget, SiteConfig, TlsConfig,
};
use tollhouse_edge::{
    Authority, Balance, Certificate, Certificates, Edge, Headers, Health, HealthSpec, Kept, Part, Records, RouteSpec,
    SiteSpec, Tell, Tls, To, Visit, Visitor, carries_key,
};
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_state::State;
use tollhouse_web::{Answer, Dropped, Peer, Proxied, ServeOptions, text};

use crate::ground::Ground;
use crate::house::{self, Current, House};
use crate::listening::{Bound, Listening, Serving};
use crate::wiring;
use visits::Visits;

/// How often the files of certificates are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A certificate that ends sooner than this is told of when it is put in force.
const ENDS_SOON: Duration = Duration::from_hours(7 * 24);
/// Room for the record of a visit, beside its path.
const VISIT_BYTES: usize = 384;
const VISIT_FIELDS: usize = 10;
/// Where these records come from.
const CALLER: &str = "tollhouse/edging.rs";

/// The sites of a house, and who is told of their visits. It looks for directories, so it blocks.
/// `kept` is what goes on from the edge before it.
pub(crate) fn edge(config: &Config, visits: &Arc<Visits>, kept: &Arc<Kept>) -> anyhow::Result<Option<Arc<Edge>>> {
    let visits = visits.clone();
    let tell: Tell = Arc::new(move |visit: &Visit| visits.tell(record_of_visit(visit)));
    sites(config, tell, kept.clone())
}

/// What is wrong with the sites of a configuration; it blocks. Certificates are left to [`check_certificates`].
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    sites(config, Arc::new(|_| {}), Arc::default()).map(|_| ())
}

/// What is wrong with certificates of sites and with the authority that signs them; it blocks. [`first`] finds the same.
pub(crate) fn check_certificates(config: &Config) -> anyhow::Result<()> {
    renewing::authority(config)?;
    read(config).map(|_| ())
}

fn sites(config: &Config, tell: Tell, kept: Arc<Kept>) -> anyhow::Result<Option<Arc<Edge>>> {
    let Some(edge) = &config.edge else { return Ok(None) };
    let sites = edge.sites.iter().map(site).collect();
    let edge = Edge::new(sites, edge.https.port(), tell, kept).context("preparing the sites (`edge`)")?;
    Ok(Some(Arc::new(edge)))
}

fn site(site: &SiteConfig) -> SiteSpec {
    SiteSpec {
        host: site.host.clone(),
        aliases: site.aliases.clone(),
        routes: site.routes.iter().map(route).collect(),
        headers: match site.headers {
            HeadersConfig::Current => Headers::Current,
            HeadersConfig::Tutorial => Headers::Tutorial,
            HeadersConfig::Off => Headers::Off,
        },
        records: match site.records {
            RecordsConfig::All => Records::All,
            RecordsConfig::Failures => Records::Failures,
        },
    }
}

fn route(route: &RouteConfig) -> RouteSpec {
    let to = match &route.to {
        RouteTarget::Gateway => To::Gateway,
        RouteTarget::Console => To::Console,
        RouteTarget::Files(dir) => To::Files(dir.clone()),
        RouteTarget::Redirect(url) => To::Redirect(url.clone()),
        RouteTarget::Refuse => To::Refuse,
        RouteTarget::Servers(urls) => To::Servers {
            urls: urls.clone(),
            balance: match route.balance {
                BalanceConfig::RoundRobin => Balance::RoundRobin,
                BalanceConfig::Least => Balance::Least,
                BalanceConfig::Address => Balance::Address,
                BalanceConfig::Path => Balance::Path,
            },
            body_bytes_max: route.body.0,
            timeout: route.timeout,
            idle: route.idle,
            health: route.health.clone().map(|path| HealthSpec { path, every: route.every }),
            slow_start: route.slow_start,
        },
    };
    RouteSpec { path: route.path.clone(), to }
}

/// Answers one request that came through TLS.
pub(crate) async fn answer(house: Arc<House>, mut request: Request<Incoming>, peer: Peer) -> Result<Answer, Dropped> {
    let Some(edge) = house.edge.clone() else { return Ok(misdirected()) };
    let route = match edge.find(&request) {
        Ok(route) => route,
        Err(lost) => {
            return Ok(match house::admitted(&house, &request, peer)? {
                Ok(address) => edge.refuse(lost, request, Visitor { address }).await,
                Err(mut refused) => {
                    edge.dress(request.extensions().get(), refused.headers_mut());
                    refused
                }
            });
        }
    };
    let mut answer = match route.part() {
        Some(part) => {
            // HTTP/2 has it in the target; the house looks at the header.
            if let Some(authority) = request.uri().authority()
                && let Ok(host) = HeaderValue::try_from(authority.as_str())
            {
                request.headers_mut().insert(HOST, host);
            }
            let is_model = house::is_model_path(request.uri().path());
            if is_model == (part == Part::Gateway) {
                house::inside(house, request, peer).await?
            } else {
                text(StatusCode::NOT_FOUND, "there is nothing here\n")
            }
        }
        None => match house::admitted(&house, &request, peer)? {
            Ok(address) => edge.serve(&route, request, Visitor { address }).await,
            Err(refused) => refused,
        },
    };
    route.dress(answer.headers_mut());
    Ok(answer)
}

/// Answers one request that came without TLS.
pub(crate) fn answer_plain(house: &House, request: &Request<Incoming>, peer: Peer) -> Result<Answer, Dropped> {
    let Some(edge) = &house.edge else { return Ok(misdirected()) };
    // Before the addresses that may come in are looked at: an authority looks from wherever it likes.
    if let Some(answer) = edge.challenge(request) {
        return Ok(answer);
    }
    let client = match house::admitted(house, request, peer)? {
        Ok(client) => client,
        Err(refused) => return Ok(refused),
    };
    let has_key = carries_key(request.headers(), request.uri(), house.gateway.door().key_header().as_str());
    if has_key {
        record_key_in_clear(house, request, client);
    }
    Ok(edge.plain(request, has_key))
}

fn misdirected() -> Answer {
    text(StatusCode::MISDIRECTED_REQUEST, "this host name is not served here\n")
}

/// Whoever listened on the way has the key now: which one it is helps to change it.
fn record_key_in_clear(house: &House, request: &Request<Incoming>, client: IpAddr) {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let caller = house.gateway.door().identify(request.headers(), client, now_ms).ok();
    let mut record = Record::new("access", Level::Warn, "key sent in clear")
        .caller(CALLER)
        .field("method", request.method().as_str())
        .field("path", house::told_path(request))
        .field("status", StatusCode::FORBIDDEN.as_u16())
        .field("client_ip", client.to_string());
    if let Some(id) = caller.and_then(|caller| caller.key_id) {
        record = record.field("key_id", id);
    }
    enqueue(&house.journal, record);
}

fn record_of_visit(visit: &Visit) -> Record {
    let level = if visit.status.is_server_error() { Level::Warn } else { Level::Info };
    let mut record = Record::new("access", level, "site visited")
        .caller(CALLER)
        .room(VISIT_BYTES + visit.path.len(), VISIT_FIELDS)
        .field("host", &visit.host)
        .field("method", visit.method.as_str())
        .field("path", &visit.path)
        .field("status", visit.status.as_u16())
        .field("duration_ms", visit.duration_ms)
        .field("client_ip", visit.address.to_string())
        .field("request_id", &visit.request_id)
        .field("bytes_sent", visit.bytes_sent);
    if let Some(server) = &visit.server {
        record = record.field("upstream", server);
    }
    if let Some(error) = &visit.error {
        record = record.field("error", error);
    }
    record
}

fn enqueue(journal: &Journal, record: Record) {
    if let Err(error) = journal.enqueue(record) {
        tracing::error!(error = %error, "recording what happened at the edge");
    }
}

/// A site's certificate, and what its files were like when it was read.
struct Held {
    /// The names of the site, its first one first.
    names: Vec<String>,
    files: [PathBuf; 2],
    stamps: [Option<Stamp>; 2],
    /// None only where the first one has not been obtained yet.
    certificate: Option<Certificate>,
    /// It is looked after by the house itself.
    is_renewed: bool,
}

impl Held {
    fn host(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }
}

/// What tells a file from one that was written later.
type Stamp = (SystemTime, u64);

/// Reads the certificates of all sites, so it blocks.
fn read(config: &Config) -> anyhow::Result<Vec<Held>> {
    let sites = config.edge.as_ref().map_or(&[][..], |edge| &edge.sites);
    let vault = renewing::vault(config);
    let held = |site: &SiteConfig| {
        let (files, is_renewed) = match &site.tls {
            TlsConfig::Files { cert, key } => ([cert.clone(), key.clone()], false),
            TlsConfig::Acme => ([vault.certificate(&site.host), vault.certificate(&site.host)], true),
        };
        // Before they are read: what is written meanwhile is read again.
        let stamps = files.each_ref().map(stamp);
        let certificate = match Certificate::read(&files[0], &files[1]) {
            Ok(certificate) => Some(certificate),
            // It will be there.
            Err(_) if is_renewed => None,
            Err(error) => {
                return Err(error).with_context(|| format!("reading `edge.sites.{}.tls`", site.host));
            }
        };
        Ok(Held { names: site.names().cloned().collect(), files, stamps, certificate, is_renewed })
    };
    sites.iter().map(held).collect()
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

/// What a changed edge needs: certificates, and the encrypted address and the plain one, where they are new.
pub(crate) struct Prepared<L> {
    held: Vec<Held>,
    authority: Option<Authority>,
    proxied: Proxied,
    https: Option<L>,
    http: Option<L>,
}

impl Prepared<Bound> {
    /// Begins to serve the new addresses: with the house in force until another one is.
    pub(crate) fn serve(self, edging: &Edging) -> anyhow::Result<Prepared<Listening>> {
        if edging.config.is_none() {
            // Before the first handshake.
            edging.certificates.show(shown(&self.held));
        }
        let proxied = self.proxied;
        let https = self.https.map(|bound| bound.serve_as(proxied, &edging.serving_https)).transpose()?;
        let http = self.http.map(|bound| bound.serve_as(proxied, &edging.serving_http)).transpose()?;
        Ok(Prepared { held: self.held, authority: self.authority, proxied, https, http })
    }
}

/// The addresses of the edge, and what TLS shows there.
pub(crate) struct Edging {
    journal: Journal,
    state: State,
    kept: Arc<Kept>,
    /// Looks after servers behind routes.
    watch: AbortHandle,
    visits: Arc<Visits>,
    /// Brings them to the journal.
    bringing: JoinHandle<()>,
    /// Looks after certificates.
    looked_after: Option<renewing::Looked>,
    config: Option<EdgeConfig>,
    certificates: Arc<Certificates>,
    /// It asks for certificates at each handshake, so it stays the same while they change.
    tls: Tls,
    held: Vec<Held>,
    /// Sites whose changed files could not be used, each told once.
    told: Vec<String>,
    looked: Instant,
    serving_https: Serving,
    serving_http: Serving,
    https: Option<Listening>,
    http: Option<Listening>,
}

impl Edging {
    /// Serves nothing yet.
    pub(crate) fn new(config: &Config, current: &Current, ground: &Ground) -> anyhow::Result<Self> {
        let (journal, kept) = (&ground.journal, &ground.edge);
        let certificates = Arc::new(Certificates::new(kept.challenges().clone()));
        let of_servers = journal.clone();
        let watch = kept.clone().watch(Arc::new(move |health| record_health(&of_servers, health)));
        let tls = certificates.tls()?;
        let options = options(config, &tls);
        Ok(Self {
            journal: journal.clone(),
            state: ground.state.clone(),
            kept: kept.clone(),
            watch: tokio::spawn(watch).abort_handle(),
            visits: ground.visits.clone(),
            bringing: tokio::spawn(ground.visits.clone().bring()),
            looked_after: None,
            config: None,
            certificates,
            tls,
            held: Vec::new(),
            told: Vec::new(),
            looked: Instant::now(),
            serving_https: Serving::edge(options, current.clone(), journal.clone()),
            serving_http: Serving::plain(config, current.clone(), journal.clone()),
            https: None,
            http: None,
        })
    }

    /// Binds what is new and reads all certificates.
    pub(crate) async fn prepare(&self, config: &Config) -> anyhow::Result<Prepared<Bound>> {
        let mut prepared = prepare(self.config.as_ref(), config).await?;
        let proxied = self.config.as_ref().map(proxied);
        if proxied.is_some_and(|before| config.edge.as_ref().is_some_and(|_| before != prepared.proxied)) {
            // The same sockets, served in another way.
            let again = |listening: &Option<Listening>| listening.as_ref().map(Listening::again).transpose();
            prepared.https = prepared.https.map_or_else(|| again(&self.https), |bound| Ok(Some(bound)))?;
            prepared.http = prepared.http.map_or_else(|| again(&self.http), |bound| Ok(Some(bound)))?;
        }
        Ok(prepared)
    }

    /// Puts it in force; what ends is let end by `draining`.
    pub(crate) fn adopt(&mut self, prepared: Prepared<Listening>, config: &Config, draining: &mut JoinSet<()>) {
        let Prepared { held, authority, https, http, proxied: _ } = prepared;
        self.held = held;
        self.told.clear();
        self.show();
        for held in &self.held {
            self.tell_doubts(held);
        }
        let edge = config.edge.as_ref();
        replace(&mut self.https, https, edge.is_some(), draining);
        replace(&mut self.http, http, edge.is_some_and(|edge| edge.http.is_some()), draining);
        self.config.clone_from(&config.edge);
        // Once the challenges can be answered.
        let around = (&self.journal, &self.state, self.kept.challenges());
        self.looked_after = renewing::Looked::adopt(self.looked_after.take(), authority, config, around);
    }

    /// Takes these bounds for connections accepted from now on.
    pub(crate) fn configure(&self, config: &Config) {
        self.serving_https.configure(options(config, &self.tls));
        self.serving_http.configure(wiring::serve_options(config));
    }

    /// Takes up certificates whose files were changed. What cannot be used is told, and the one in force stays.
    pub(crate) async fn look(&mut self) {
        if self.held.is_empty() || self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        let files: Vec<[PathBuf; 2]> = self.held.iter().map(|held| held.files.clone()).collect();
        let looked = move || files.iter().map(|files| files.each_ref().map(stamp)).collect::<Vec<_>>();
        let Ok(stamps) = tokio::task::spawn_blocking(looked).await else { return };
        let is_changed = |index: &usize| stamps[*index] != self.held[*index].stamps;
        let changed: Vec<usize> = (0..self.held.len()).filter(is_changed).collect();
        for index in changed {
            let [cert, key] = self.held[index].files.clone();
            let read = tokio::task::spawn_blocking(move || Certificate::read(&cert, &key)).await;
            let host = self.held[index].host().to_owned();
            match read {
                Ok(Ok(certificate)) => {
                    let held = &mut self.held[index];
                    (held.certificate, held.stamps) = (Some(certificate), stamps[index]);
                    self.told.retain(|told| *told != host);
                    self.show();
                    let held = &self.held[index];
                    enqueue(&self.journal, record(Level::Info, "certificate reloaded", held));
                    self.tell_doubts(held);
                }
                // It may be half written: looked at again until it can be used.
                Ok(Err(error)) if !self.told.contains(&host) => {
                    let told = record(Level::Error, "certificate refused", &self.held[index]);
                    enqueue(&self.journal, told.field("error", error.to_string()));
                    self.told.push(host);
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    /// Addresses that are served, encrypted first.
    pub(crate) fn greeting(&self) -> Vec<String> {
        let Some(edge) = &self.config else { return Vec::new() };
        let port = self.https.as_ref().map_or(443, |https| https.address.port());
        let port = if port == 443 { String::new() } else { format!(":{port}") };
        edge.sites.iter().map(|site| format!("https://{}{port}  ({} routes)", site.host, site.routes.len())).collect()
    }

    /// Takes no more connections, and returns when running requests have ended.
    pub(crate) async fn end(self) {
        self.watch.abort();
        drop(self.looked_after);
        let end = async |listening: Option<Listening>| {
            if let Some(listening) = listening {
                listening.end().await;
            }
        };
        tokio::join!(end(self.https), end(self.http));
        self.visits.end();
        // An error is a panic, which has been printed.
        let _: Result<(), tokio::task::JoinError> = self.bringing.await;
    }

    fn show(&self) {
        self.certificates.show(shown(&self.held));
    }

    fn tell_doubts(&self, held: &Held) {
        let Some(certificate) = &held.certificate else { return };
        let left_s = certificate.ends() - jiff::Timestamp::now().as_second();
        let doubt = if left_s < 0 {
            Some("the certificate has ended")
        } else if !held.names.iter().all(|name| certificate.is_for(name)) {
            Some("the certificate is for other names")
        } else if left_s < ENDS_SOON.as_secs() as i64 && !held.is_renewed {
            Some("the certificate ends soon")
        } else {
            None
        };
        if let Some(doubt) = doubt {
            tracing::warn!(host = held.host(), "{doubt}");
            enqueue(&self.journal, record(Level::Warn, doubt, held));
        }
    }
}

fn options(config: &Config, tls: &Tls) -> ServeOptions {
    ServeOptions { tls: Some(tls.clone()), ..wiring::serve_options(config) }
}

fn shown(held: &[Held]) -> impl Iterator<Item = (&str, &Certificate)> {
    let with = held.iter().filter_map(|held| Some((held, held.certificate.as_ref()?)));
    with.flat_map(|(held, certificate)| held.names.iter().map(move |name| (name.as_str(), certificate)))
}

fn record(level: Level, what: &'static str, held: &Held) -> Record {
    record_of(level, what, held.host(), held.certificate.as_ref().map(Certificate::ends))
}

/// A record about a site's certificate, which ends in this second since 1970.
fn record_of(level: Level, what: &'static str, host: &str, ends: Option<i64>) -> Record {
    let record = Record::new("certificate", level, what).caller(CALLER).field("host", host);
    let Some(ends) = ends else { return record };
    let left_s = ends - jiff::Timestamp::now().as_second();
    record.field("days_left", (left_s as f64 / 8_640.0).round() / 10.0)
}

fn record_health(journal: &Journal, health: Health) {
    let record = if health.is_well {
        Record::new("server", Level::Info, "a server behind a site is well again")
    } else {
        Record::new("server", Level::Error, "a server behind a site is not well")
    };
    let record = record.caller(CALLER).field("upstream", health.server);
    let record = record.field("outcome", if health.is_well { "ok" } else { "fault" });
    enqueue(journal, health.error.into_iter().fold(record, |record, error| record.field("error", error)));
}

/// Everything that can fail before the data is touched.
pub(crate) async fn first(config: &Config) -> anyhow::Result<Prepared<Bound>> {
    prepare(None, config).await
}

async fn prepare(now: Option<&EdgeConfig>, config: &Config) -> anyhow::Result<Prepared<Bound>> {
    let next = config.edge.as_ref();
    let new_https = next.map(|edge| edge.https).filter(|address| now.map(|now| now.https) != Some(*address));
    let new_http = next.and_then(|edge| edge.http).filter(|address| now.and_then(|now| now.http) != Some(*address));
    let https = bind(new_https, "edge.https").await?;
    let http = bind(new_http, "edge.http").await?;
    let config = config.clone();
    let read = move || anyhow::Ok((read(&config).context(crate::up::Unfit)?, renewing::authority(&config)?));
    let (held, authority) = tokio::task::spawn_blocking(read).await??;
    Ok(Prepared { held, authority, proxied: next.map_or(Proxied::No, proxied), https, http })
}

/// Whether connections begin with a PROXY header.
fn proxied(edge: &EdgeConfig) -> Proxied {
    if edge.proxy_protocol { Proxied::Yes } else { Proxied::No }
}

async fn bind(address: Option<SocketAddr>, key: &str) -> anyhow::Result<Option<Bound>> {
    match address {
        Some(address) => Bound::at(address, key).await.map(Some),
        None => Ok(None),
    }
}

/// Another one takes its place, it stays, or it ends.
fn replace(listening: &mut Option<Listening>, next: Option<Listening>, is_wanted: bool, draining: &mut JoinSet<()>) {
    if next.is_none() && is_wanted {
        return;
    }
    if let Some(old) = std::mem::replace(listening, next) {
        draining.spawn(old.end());
    }
}
