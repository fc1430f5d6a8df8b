//! All sites: which route a request is for, and who answers it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, LOCATION};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use tollhouse_web::{Answer, RequestId, ServerName, sent_to, text};

use crate::error::EdgeError;
use crate::files::Files;
use crate::forward::{Forward, Outcome};
use crate::headers::{self, location};
use crate::kept::Kept;
use crate::spec::{Headers, Records, RouteSpec, SiteSpec, To};
use crate::visit::{Open, Tell, Visitor};

/// What stands in a record for a name that no site has: what a stranger made up is not repeated.
const UNKNOWN: &str = "unknown";
/// Bytes of a body that are taken in although nobody wants them, and the time for it.
const DRAINED_BYTES_MAX: usize = 64 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// All sites. It is made anew for another configuration.
pub struct Edge {
    /// By each of their names.
    sites: HashMap<String, Arc<Site>>,
    first: String,
    port: u16,
    tell: Tell,
    kept: Arc<Kept>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").field("sites", &self.sites).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Site {
    host: String,
    headers: Headers,
    /// The longest path first.
    routes: Vec<Arc<Route>>,
}

/// What stands behind a path of a site.
#[derive(Debug)]
pub struct Route {
    host: String,
    /// Without a slash at the end, so empty for the root.
    path: String,
    headers: Headers,
    records: Records,
    way: Way,
}

/// Part of the house.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The model APIs.
    Gateway,
    /// Everything else that it answers.
    Console,
}

#[derive(Debug)]
enum Way {
    House(Part),
    Files(Files),
    Redirect(String),
    Refuse {
        /// Whether every path that begins with this text is meant.
        is_open_ended: bool,
    },
    Forward(Box<Forward>),
}

/// Why a request is for no route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lost {
    /// No site has this name, or TLS was spoken for another one (RFC 9110, section 15.5.20).
    Misdirected,
    /// The site has no such path.
    NoRoute,
}

impl Lost {
    fn reason(self) -> &'static str {
        match self {
            Self::Misdirected => "no site has this name, or TLS was spoken for another one",
            Self::NoRoute => "no route has this path",
        }
    }

    /// What is answered.
    fn answer(self) -> Answer {
        match self {
            Self::Misdirected => text(StatusCode::MISDIRECTED_REQUEST, "this host name is not served here\n"),
            Self::NoRoute => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
        }
    }
}

impl Edge {
    /// Prepares all sites, of which there is at least one; `port` is where TLS is spoken. It looks for directories, so it blocks. `tell` is told of each request that is
    /// not the house's own. `kept` is what goes on from the edge before it.
    pub fn new(sites: Vec<SiteSpec>, port: u16, tell: Tell, kept: Arc<Kept>) -> Result<Self, EdgeError> {
        let first = sites.first().map(|site| site.host.clone()).unwrap_or_default();
        let mut by_host = HashMap::new();
        for site in sites {
            let route = |route| Route::new(&site.host, site.headers, site.records, route, &kept).map(Arc::new);
            let routes = site.routes.into_iter().map(route);
            let mut routes = routes.collect::<Result<Vec<_>, _>>()?;
            routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
            let held = Arc::new(Site { host: site.host.clone(), headers: site.headers, routes });
            by_host.extend(site.aliases.into_iter().map(|alias| (alias, held.clone())));
            by_host.insert(site.host, held);
        }
        Ok(Self { sites: by_host, first, port, tell, kept })
    }

    /// Which route a request is for that came encrypted.
    pub fn find<B>(&self, request: &Request<B>) -> Result<Arc<Route>, Lost> {
        let host = sent_to(request).ok_or(Lost::Misdirected)?;
        let spoken_for = request.extensions().get::<ServerName>();
        if spoken_for.is_some_and(|name| !name.0.trim_end_matches('.').eq_ignore_ascii_case(&host)) {
            return Err(Lost::Misdirected);
        }
        let site = self.sites.get(&host).ok_or(Lost::Misdirected)?;
        site.route(request.uri().path()).cloned().ok_or(Lost::NoRoute)
    }

    /// Answers a request for a route that is not the house's own.
    pub async fn serve<B>(&self, route: &Route, request: Request<B>, visitor: Visitor) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let id = RequestId::from_headers(request.headers());
        let mut open =
            Open::new((&self.tell, route.records), &route.host, request.method(), request.uri().path(), visitor, &id);
        let answer = match &route.way {
            Way::House(_) => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
            Way::Files(files) => {
                let answer = files.answer(&request).await;
                drain(request.into_body()).await;
                answer
            }
            Way::Redirect(base) => {
                let answer = redirect(base, &request);
                drain(request.into_body()).await;
                answer
            }
            Way::Refuse { .. } => {
                drain(request.into_body()).await;
                text(StatusCode::FORBIDDEN, "this is not for anybody\n")
            }
            Way::Forward(forward) => match forward.answer(request, &route.host, visitor, &id, &mut open).await {
                Outcome::Answer(answer) => answer,
                // A tunnel takes the request over, and tells when it ends.
                Outcome::Tunnel(upgrade) => return upgrade.begin(open, &id),
            },
        };
        open.answer(answer, &id)
    }

    /// Answers a request that is for no route. Its answer has the headers of the site that it was sent to or TLS was spoken for.
    pub async fn refuse<B>(&self, lost: Lost, request: Request<B>, visitor: Visitor) -> Answer
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let id = RequestId::from_headers(request.headers());
        let host = sent_to(&request).unwrap_or_default();
        let told = self.sites.get(&host).map_or(UNKNOWN, |site| site.host.as_str());
        let mut open =
            Open::new((&self.tell, Records::All), told, request.method(), request.uri().path(), visitor, &id);
        open.fail(lost.reason().to_owned());
        let name = request.extensions().get::<ServerName>().cloned();
        drain(request.into_body()).await;
        let mut answer = open.answer(lost.answer(), &id);
        match self.sites.get(&host) {
            Some(site) => headers::dress(site.headers, answer.headers_mut()),
            None => self.dress(name.as_ref(), answer.headers_mut()),
        }
        answer
    }

    /// Gives an answer that no route makes the headers of the site that TLS was spoken for, of the first one where that is not known.
    pub fn dress(&self, name: Option<&ServerName>, answer: &mut HeaderMap) {
        let named = name.and_then(|name| self.sites.get(&name.0.trim_end_matches('.').to_ascii_lowercase()));
        if let Some(site) = named.or_else(|| self.sites.get(&self.first)) {
            headers::dress(site.headers, answer);
        }
    }

    /// Whether a site has this name.
    pub fn knows(&self, host: &str) -> bool {
        self.sites.contains_key(host)
    }

    /// What follows a name in an address of the sites.
    pub(crate) fn port_text(&self) -> String {
        if self.port == 443 { String::new() } else { format!(":{}", self.port) }
    }

    /// What an authority is answered that looks without TLS whether a name is ours, if this is its request.
    pub fn challenge<B>(&self, request: &Request<B>) -> Option<Answer> {
        self.kept.challenges().answer(request)
    }

    pub(crate) fn first_host(&self) -> &str {
        &self.first
    }
}

impl Site {
    /// The route that holds a path; what is refused stays so however it is spelt.
    fn route(&self, path: &str) -> Option<&Arc<Route>> {
        let holds = |path: &str| self.routes.iter().find(|route| route.holds(path));
        let refused = || holds(&plainly(path)).filter(|route| matches!(route.way, Way::Refuse { .. }));
        let is_plain = !path.contains('%') && !path.contains("//");
        if is_plain { holds(path) } else { refused().or_else(|| holds(path)) }
    }
}

/// A path as most servers read it: decoded once (RFC 3986, section 2.1), and several slashes as one.
fn plainly(path: &str) -> String {
    let mut plain: Vec<u8> = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = if decoded.is_some() { &behind[2..] } else { behind };
        let byte = decoded.unwrap_or(byte);
        if byte != b'/' || plain.last() != Some(&b'/') {
            plain.push(byte);
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

impl Route {
    fn new(host: &str, headers: Headers, records: Records, spec: RouteSpec, kept: &Kept) -> Result<Self, EdgeError> {
        let way = match spec.to {
            To::Gateway => Way::House(Part::Gateway),
            To::Console => Way::House(Part::Console),
            To::Files(dir) => Way::Files(Files::new(&spec.path, &dir)?),
            To::Redirect(base) => Way::Redirect(base),
            To::Refuse => Way::Refuse { is_open_ended: !spec.path.ends_with('/') },
            To::Servers { urls, balance, body_bytes_max, timeout, idle, health, slow_start } => {
                let servers = kept.servers(&urls, balance, health.as_ref(), slow_start)?;
                let client = kept.client(urls.iter().any(|url| url.starts_with("https://")))?;
                Way::Forward(Box::new(Forward::new(client, servers, body_bytes_max, timeout, idle)))
            }
        };
        let path = spec.path.trim_end_matches('/').to_owned();
        Ok(Self { host: host.to_owned(), path, headers, records, way })
    }

    /// The part of the house that answers; `None` where [`Edge::serve`] does.
    pub fn part(&self) -> Option<Part> {
        match self.way {
            Way::House(part) => Some(part),
            Way::Files(_) | Way::Redirect(_) | Way::Refuse { .. } | Way::Forward(_) => None,
        }
    }

    /// The name of its site.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Gives an answer the headers of its site, whoever made it and whatever its status is.
    pub fn dress(&self, answer: &mut HeaderMap) {
        headers::dress(self.headers, answer);
    }

    fn holds(&self, path: &str) -> bool {
        let is_open_ended = matches!(self.way, Way::Refuse { is_open_ended: true });
        path.strip_prefix(self.path.as_str())
            .is_some_and(|rest| is_open_ended || rest.is_empty() || rest.starts_with('/'))
    }
}

/// Takes in a body that nobody wants, as far as it is short and on its way: an answer before its end is one that some clients throw
/// away (curl 7.88 over HTTP/2), and over HTTP/1.1 the connection would end. One that is announced as longer is left: whoever waits
/// for a `100 Continue` gets the answer in its place (RFC 9110, section 10.1.1).
pub(crate) async fn drain<B>(body: B)
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let is_long = body.size_hint().lower() > DRAINED_BYTES_MAX as u64;
    if body.is_end_stream() || is_long {
        return;
    }
    let all = std::pin::pin!(Limited::new(body, DRAINED_BYTES_MAX).collect());
    // Whatever came of it: the answer is the same.
    let _: Result<_, _> = tokio::time::timeout(DRAIN_TIME_MAX, all).await;
}

/// 301 for what a browser asks; 308 where method and body must stay as they are (RFC 9110, section 15.4).
fn redirect<B>(base: &str, request: &Request<B>) -> Answer {
    let status = match *request.method() {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut answer = text(status, "moved\n");
    answer.headers_mut().insert(LOCATION, location(base, target));
    answer
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, HOST};

    use crate::plain::carries_key;

    use super::*;

    fn edge() -> Edge {
        let route = |path: &str, to: To| RouteSpec { path: path.to_owned(), to };
        let redirect = |path: &str| route(path, To::Redirect(format!("https://{}.example", path.replace('/', ""))));
        let a = SiteSpec {
            host: "a.example".to_owned(),
            aliases: vec!["www.a.example".to_owned()],
            routes: vec![redirect("/"), route("/v1/", To::Gateway), redirect("/v1/models"), redirect("/x")],
            headers: Headers::Current,
            records: Records::All,
        };
        let b = SiteSpec {
            host: "b.example".to_owned(),
            aliases: Vec::new(),
            routes: vec![redirect("/only/")],
            headers: Headers::Off,
            records: Records::All,
        };
        Edge::new(vec![a, b], 8443, Arc::new(|_| {}), Arc::default()).unwrap()
    }

    fn request(host: &str, path: &str) -> Request<()> {
        Request::builder().uri(path).header(HOST, host).body(()).unwrap()
    }

    #[test]
    fn the_longest_path_of_the_right_name_is_found() {
        let edge = edge();
        for (host, path, expected) in [
            ("a.example", "/", Ok("")),
            ("A.Example.:8443", "/v1", Ok("/v1")),
            ("a.example", "/v1/chat/completions", Ok("/v1")),
            ("a.example", "/v1/models/x", Ok("/v1/models")),
            ("a.example", "/v1x", Ok("")),
            ("www.a.example", "/v1x", Ok("")),
            ("a.example", "/xy", Ok("")),
            ("b.example", "/only", Ok("/only")),
            ("b.example", "/", Err(Lost::NoRoute)),
            ("c.example", "/", Err(Lost::Misdirected)),
            ("a.example.c.example", "/", Err(Lost::Misdirected)),
        ] {
            let found = edge.find(&request(host, path));
            assert_eq!(found.as_ref().map(|route| route.path.as_str()).map_err(|lost| *lost), expected, "{host}{path}");
        }
        let mut other = request("a.example", "/");
        other.extensions_mut().insert(ServerName("b.example".into()));
        assert_eq!(edge.find(&other).unwrap_err(), Lost::Misdirected, "TLS was spoken for another name");
        let over_http2 = Request::builder().uri("https://b.example/only/x").body(()).unwrap();
        assert_eq!(edge.find(&over_http2).unwrap().host(), "b.example");
    }

    #[tokio::test]
    async fn what_is_refused_stays_so_however_it_is_spelt() {
        let route = |path: &str, to: To| RouteSpec { path: path.to_owned(), to };
        let leads = |path: &str| route(path, To::Redirect("https://b.example".to_owned()));
        let site = SiteSpec {
            host: "a.example".to_owned(),
            aliases: Vec::new(),
            routes: vec![leads("/"), route("/admin/", To::Refuse), route("/priv", To::Refuse), leads("/admin/open/")],
            headers: Headers::Off,
            records: Records::All,
        };
        let edge = Edge::new(vec![site], 443, Arc::new(|_| {}), Arc::default()).unwrap();
        let visitor = Visitor { address: std::net::Ipv4Addr::LOCALHOST.into() };
        for (path, status) in [
            ("/admin", 403),
            ("/admin/x", 403),
            ("/%61dmin/x", 403),
            ("//admin/x", 403),
            ("/admin//x", 403),
            ("/adminx", 301),
            ("/priv", 403),
            ("/private", 403),
            ("/pri%76ate", 403),
            ("/pri", 301),
            ("/admin/open/x", 301),
            ("/%zz", 301),
        ] {
            let request =
                Request::builder().uri(path).header(HOST, "a.example").body(text(StatusCode::OK, "").into_body());
            let request = request.unwrap();
            let found = edge.find(&request).unwrap();
            assert_eq!(edge.serve(&found, request, visitor).await.status(), status, "{path}");
        }
    }

    #[test]
    fn without_encryption_browsers_are_led_on_and_keys_are_not_taken() {
        let edge = edge();
        let (get, post) = (Method::GET, Method::POST);
        for (method, host, path, key, status, to) in [
            (&get, "a.example", "/x?q=1", false, 301, Some("https://a.example:8443/x?q=1")),
            (&get, "127.0.0.1", "/", false, 301, Some("https://a.example:8443/")),
            (&get, "c.example", "/", false, 421, None),
            (&post, "a.example", "/v1/x", false, 403, None),
            (&get, "a.example", "/v1/models", true, 403, None),
            (&get, "a.example", "/?token=abc", false, 403, None),
        ] {
            let mut request = request(host, path);
            *request.method_mut() = method.clone();
            if key {
                request.headers_mut().insert(AUTHORIZATION, "Bearer x".parse().unwrap());
            }
            let has_key = carries_key(request.headers(), request.uri(), "X-Own");
            assert_eq!(has_key, key || path.contains("token"));
            let answer = edge.plain(&request, has_key);
            assert_eq!(answer.status().as_u16(), status, "{method} {host}{path}");
            assert_eq!(answer.headers().get(LOCATION).map(|value| value.to_str().unwrap()), to);
        }
    }
}
