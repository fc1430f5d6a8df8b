//! The Host guard: a web page of a foreign name must not reach this house through a name server that points at it
//! (DNS rebinding, CVE-2024-28224 of Ollama).

use std::net::IpAddr;

use http::Request;
use http::header::HOST;

/// The names that this house answers to. Loopback names and all plain addresses are always among them: an address
/// cannot be rebound.
#[derive(Clone, Debug)]
pub struct HostGuard {
    names: Vec<String>,
}

impl HostGuard {
    /// `names` without port, in any case.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self { names: names.into_iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Whether the request names this house: by `Host`, or by its target's authority as HTTP/2 does.
    pub fn admits<B>(&self, request: &Request<B>) -> bool {
        sent_to(request).is_some_and(|name| self.knows(&name))
    }

    fn knows(&self, name: &str) -> bool {
        let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        address.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.names.iter().any(|known| known == name)
    }
}

/// The name that a request was sent to, as [`host_name`] has it; `None` where it says none, two, or one that is malformed.
pub fn sent_to<B>(request: &Request<B>) -> Option<String> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let header = hosts.next().map(|value| value.to_str());
    if hosts.next().is_some() {
        return None;
    }
    match (header, request.uri().authority()) {
        (Some(Ok(host)), None) => host_name(host),
        (None, Some(authority)) => host_name(authority.as_str()),
        (Some(Ok(host)), Some(authority)) if host.eq_ignore_ascii_case(authority.as_str()) => host_name(host),
        (Some(_), _) | (None, None) => None,
    }
}

/// The name in `host[:port]`: in small letters, without a dot at its end.
pub fn host_name(host: &str) -> Option<String> {
    without_port(host).map(|name| name.trim_end_matches('.').to_ascii_lowercase())
}

/// The host of `host[:port]`; `None` when what follows is no port.
fn without_port(host: &str) -> Option<&str> {
    let end_of_address = host.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = host[end_of_address..].find(':').map(|at| end_of_address + at) else {
        return Some(host);
    };
    let port = &host[colon + 1..];
    (port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())).then(|| &host[..colon])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(host: &str) -> bool {
        let guard = HostGuard::new(["AI.example.com".to_owned()]);
        guard.admits(&Request::builder().uri("/").header(HOST, host).body(()).unwrap())
    }

    #[test]
    fn own_names_and_addresses_are_admitted() {
        let own = [
            "localhost",
            "localhost:18789",
            "127.0.0.1:18789",
            "[::1]:18789",
            "10.0.0.5",
            "ai.example.com",
            "AI.Example.COM:443",
            "ai.example.com.",
            "x.localhost",
        ];
        for host in own {
            assert!(admits(host), "{host}");
        }
    }

    #[test]
    fn foreign_and_malformed_names_are_not() {
        for host in [
            "evil.example",
            "ai.example.com.evil.example",
            "localhost.evil.example",
            "",
            "a b",
            "localhost:80:80",
            "localhost:x",
            "127.evil.example",
            "[::1",
            "user@localhost",
        ] {
            assert!(!admits(host), "{host}");
        }
    }

    #[test]
    fn no_host_two_hosts_and_differing_hosts_are_refused() {
        let guard = HostGuard::new([]);
        assert!(!guard.admits(&Request::builder().uri("/").body(()).unwrap()));
        let two = Request::builder().uri("/").header(HOST, "localhost").header(HOST, "localhost").body(()).unwrap();
        assert!(!guard.admits(&two));
        let differs = Request::builder().uri("http://127.0.0.1/").header(HOST, "localhost").body(()).unwrap();
        assert!(!guard.admits(&differs));
        assert!(guard.admits(&Request::builder().uri("http://127.0.0.1/").body(()).unwrap()));
    }
}
