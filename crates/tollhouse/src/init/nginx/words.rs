//! What becomes of nginx' directives that need no look at the rest of the file, and why others are left.

use tollhouse_config::Fate;

/// Directives whose meaning the edge has by itself, or has in another form.
const BY_ITSELF: [(&str, Fate, &str); 31] = [
    ("access_log", Fate::Changed, "each request is a record of the journal"),
    ("charset", Fate::Taken, "texts are sent as UTF-8"),
    ("chunked_transfer_encoding", Fate::Taken, "answers come as they are written"),
    ("error_log", Fate::Changed, "what fails is a record of the journal"),
    ("etag", Fate::Taken, "files have one"),
    ("expires", Fate::Changed, "names with a hash are kept for a year, others are asked for again"),
    ("http2", Fate::Taken, "HTTP/2 is spoken"),
    ("proxy_buffering", Fate::Changed, "answers are never gathered"),
    ("proxy_cache", Fate::Changed, "nothing is cached"),
    ("proxy_cache_bypass", Fate::Taken, "nothing is cached"),
    ("proxy_http_version", Fate::Taken, "HTTP/1.1, with connections that are kept"),
    ("proxy_no_cache", Fate::Taken, "nothing is cached"),
    ("proxy_request_buffering", Fate::Changed, "bodies are handed on as they come"),
    ("proxy_ssl_server_name", Fate::Taken, "servers with TLS are asked by their names"),
    ("proxy_ssl_verify", Fate::Taken, "servers with TLS have to show a certificate that holds"),
    ("sendfile", Fate::Changed, "files are sent as they are read"),
    ("server_tokens", Fate::Taken, "no answer names the program"),
    ("ssl_buffer_size", Fate::Changed, "pieces are sent as they come"),
    ("ssl_ciphers", Fate::Changed, "only strong ones are offered"),
    ("ssl_conf_command", Fate::Changed, "only strong ciphers are offered"),
    ("ssl_dhparam", Fate::Changed, "keys are agreed on by elliptic curves and ML-KEM"),
    ("ssl_early_data", Fate::Changed, "no early data are taken: they could be sent again by others"),
    ("ssl_ecdh_curve", Fate::Changed, "the hybrid of X25519 and ML-KEM first, then X25519 and P-256"),
    ("ssl_prefer_server_ciphers", Fate::Changed, "only strong ones are offered"),
    ("ssl_session_cache", Fate::Changed, "sessions are taken up again by themselves"),
    ("ssl_session_tickets", Fate::Changed, "sessions are taken up again by themselves"),
    ("ssl_session_timeout", Fate::Changed, "sessions are taken up again by themselves"),
    ("tcp_nodelay", Fate::Taken, "pieces are sent at once"),
    ("tcp_nopush", Fate::Changed, "pieces are sent at once"),
    ("default_type", Fate::Changed, "files have the type of their name"),
    ("types", Fate::Changed, "files have the type of their name"),
];

/// What is said of whatever guards.
const GUARDS: &str = "what it guards is refused here (`to: refuse`), since no route asks who comes: let the server behind ask, or keep nginx in front";

/// Why directives are left, by their name or how it begins.
const LEFT: [(&str, &str); 21] = [
    ("access_by", GUARDS),
    ("allow", GUARDS),
    ("auth_", GUARDS),
    ("client_", "the edge has a bound of its own (docs/LIMITS.md)"),
    ("deny", GUARDS),
    ("fastcgi_", "only HTTP is spoken with servers"),
    ("grpc_", "only HTTP is spoken with servers"),
    ("gzip", "files are sent compressed where a .br, .zst or .gz lies beside them"),
    ("include", "what it says is not read: a site in it is taken where it is named with --from, too"),
    ("internal", GUARDS),
    ("keepalive", "the edge has a bound of its own (docs/LIMITS.md)"),
    ("large_client", "the edge has a bound of its own (docs/LIMITS.md)"),
    ("limit_except", GUARDS),
    ("limit_", "write access: {rate_limit: …}, or give the key a limit of its own"),
    ("proxy_connect", "the edge has a time of its own (docs/LIMITS.md)"),
    ("proxy_send", "the edge has a time of its own (docs/LIMITS.md)"),
    ("rewrite", "paths are handed on as they are"),
    ("satisfy", GUARDS),
    ("ssl_verify_client", GUARDS),
    ("ssl_stapling", "nothing is stapled: authorities answer by short lives now"),
    ("uwsgi_", "only HTTP is spoken with servers"),
];

/// What becomes of a directive whatever stands around it.
pub(super) fn by_itself(name: &str) -> Option<(Fate, &'static str)> {
    BY_ITSELF.iter().find(|(known, ..)| *known == name).map(|(_, fate, text)| (*fate, *text))
}

/// Why a directive is left.
pub(super) fn left(name: &str) -> &'static str {
    LEFT.iter().find(|(begin, _)| name.starts_with(begin)).map_or("it has no place here", |(_, reason)| reason)
}

/// What becomes of a header that is set for a server, by its name in small letters and its value.
pub(super) fn proxy_header(name: &str, value: &str) -> (Fate, &'static str) {
    let is_own = value.strip_prefix("$http_").is_some_and(|rest| rest == name.replace('-', "_"));
    match name {
        "host" if matches!(value, "$host" | "$http_host") => (Fate::Taken, "it is handed on as it came"),
        "host" => (Fate::NotTaken, "the name is handed on as it came"),
        "x-forwarded-for" if value.contains("add_x_forwarded_for") => {
            (Fate::Changed, "the client's address alone: what a client says itself is taken away")
        }
        "x-real-ip" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" => {
            (Fate::Taken, "it is set by itself")
        }
        "upgrade" | "connection" => (Fate::Taken, "WebSockets go through by themselves"),
        _ if is_own => (Fate::Taken, "what clients send is handed on"),
        _ => (Fate::NotTaken, "no other header is added to requests"),
    }
}

/// Headers that the profiles `tutorial` and `current` set, in small letters.
const OF_PROFILES: [&str; 8] = [
    "content-security-policy",
    "cross-origin-opener-policy",
    "permissions-policy",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
    "x-xss-protection",
];

/// Whether a profile sets this header.
pub(super) fn is_of_profile(name: &str) -> bool {
    OF_PROFILES.contains(&name)
}

/// Whether only the profile `tutorial` sets it so.
pub(super) fn is_of_tutorial(name: &str, value: &str) -> bool {
    match name {
        "x-xss-protection" => value.starts_with('1'),
        "referrer-policy" => value == "no-referrer-when-downgrade",
        _ => false,
    }
}

/// Whether a profile's value of this header is that of the file.
pub(super) fn is_same_value(name: &str, value: &str, tutorial: bool) -> bool {
    let value = value.to_lowercase();
    match name {
        "x-frame-options" => value == "deny",
        "x-content-type-options" => value == "nosniff",
        "strict-transport-security" => value.starts_with("max-age=31536000"),
        "x-xss-protection" => value == if tutorial { "1; mode=block" } else { "0" },
        "referrer-policy" => value == if tutorial { "no-referrer-when-downgrade" } else { "no-referrer" },
        _ => false,
    }
}
