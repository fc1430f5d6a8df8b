//! Whoever comes without encryption: browsers are led to the encrypted address, keys are not taken.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, Uri};
use tollhouse_web::{Answer, sent_to, text};

use crate::edge::Edge;
use crate::headers::location;

/// Headers in which keys come, beside the configured one.
const KEY_HEADERS: [HeaderName; 3] =
    [AUTHORIZATION, HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];
/// Parts of a query in which keys come.
const KEY_PARTS: [&str; 4] = ["token", "key", "api_key", "access_token"];

/// Whether a key comes with this head, under one of the usual names or `header`.
pub fn carries_key(headers: &HeaderMap, uri: &Uri, header: &str) -> bool {
    let in_query = uri.query().is_some_and(|query| {
        query
            .split('&')
            .filter_map(|part| part.split_once('='))
            .any(|(name, value)| !value.is_empty() && KEY_PARTS.iter().any(|known| name.eq_ignore_ascii_case(known)))
    });
    in_query || headers.contains_key(header) || KEY_HEADERS.iter().any(|name| headers.contains_key(name))
}

impl Edge {
    /// Answers a request that came without encryption: 301 to the same address with encryption for what a browser asks, 403 for what
    /// has a key or a body, since that has been sent in clear by then and must not seem to work (OWASP ASVS 5.0, 4.1.2).
    /// `has_key` is what [`carries_key`] says of it.
    pub fn plain<B>(&self, request: &Request<B>, has_key: bool) -> Answer {
        let host = sent_to(request).filter(|host| self.knows(host) || host.parse::<IpAddr>().is_ok());
        match host {
            None => text(StatusCode::MISDIRECTED_REQUEST, "this host name is not served here\n"),
            Some(_) if has_key => {
                text(StatusCode::FORBIDDEN, "a key was sent in clear: use https:// and change the key\n")
            }
            Some(_) if !matches!(*request.method(), Method::GET | Method::HEAD) => {
                text(StatusCode::FORBIDDEN, "use https://\n")
            }
            // A certificate has no address: whoever came by one is led to the first name.
            Some(host) => {
                let host = if self.knows(&host) { host } else { self.first_host().to_owned() };
                let base = format!("https://{host}{}", self.port_text());
                let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
                let mut answer = text(StatusCode::MOVED_PERMANENTLY, "use https://\n");
                answer.headers_mut().insert(LOCATION, location(&base, target));
                answer
            }
        }
    }
}
