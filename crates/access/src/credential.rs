//! The secret in a request's head: one rule for all the places where clients put it.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;

/// What a request's head says about who sends it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Credential<'a> {
    /// No secret at all.
    None,
    /// One secret, in one or several places.
    Secret(&'a str),
    /// Two different secrets: it cannot be said who sends this.
    Contradictory,
}

/// Reads the secret from `Authorization: Bearer`, `x-api-key` and the configured header (`access.header`).
pub fn credential<'a>(headers: &'a HeaderMap, header: &http::HeaderName) -> Credential<'a> {
    let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| value.to_str().ok().and_then(bearer_secret));
    let plain = [header.as_str(), "x-api-key"]
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        .map(|value| value.to_str().ok().map(str::trim).filter(|secret| !secret.is_empty()));
    let mut found = Credential::None;
    for secret in bearer.chain(plain) {
        match (found, secret) {
            (Credential::None, Some(secret)) => found = Credential::Secret(secret),
            (Credential::Secret(first), Some(secret)) if first == secret => {}
            (Credential::Secret(_), Some(_)) => return Credential::Contradictory,
            // A place with something unreadable in it is as good as a wrong secret.
            (Credential::None, None) => found = Credential::Secret(""),
            (_, None) => {}
            (Credential::Contradictory, _) => unreachable!("returned above"),
        }
    }
    found
}

/// Names under which clients put a secret in the query.
const QUERY_NAMES: [&str; 8] =
    ["api_key", "api-key", "apikey", "x-api-key", "key", "token", "access_token", "authorization"];

/// Whether the query of a URL seems to carry a secret. It is refused there whatever it is worth: URLs stand in the logs,
/// histories and referrers of every machine between.
pub fn secret_in_query(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    query.split(['&', ';']).any(|pair| {
        let name = percent_decode_str(pair.split('=').next().unwrap_or_default());
        QUERY_NAMES.iter().any(|secret| name.clone().map(|byte| byte.to_ascii_lowercase()).eq(secret.bytes()))
    })
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1; the scheme's case does not matter, RFC 9110, section 11.1).
fn bearer_secret(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        format!("{:?}", credential(&headers, &HeaderName::from_static("x-gate-key")))
    }

    #[test]
    fn every_place_gives_the_same_secret() {
        for pair in
            [("authorization", "Bearer k"), ("authorization", "bearer  k"), ("x-api-key", "k"), ("x-gate-key", " k ")]
        {
            assert_eq!(read(&[pair]), r#"Secret("k")"#, "{pair:?}");
        }
        assert_eq!(read(&[("authorization", "Bearer k"), ("x-api-key", "k")]), r#"Secret("k")"#);
    }

    #[test]
    fn secrets_in_a_query_are_noticed_however_they_are_spelled() {
        for query in ["key=k", "a=1&api_key=k", "Token=k", "%6bey=k", "a;access_token=k", "apikey"] {
            assert!(secret_in_query(&format!("/v1/models?{query}").parse().unwrap()), "{query}");
        }
        for query in ["", "?", "?verbose=true", "?model=key", "?keys=1", "?max_tokens=3&token_count=1"] {
            assert!(!secret_in_query(&format!("/v1/models{query}").parse().unwrap()), "{query}");
        }
    }

    #[test]
    fn nothing_unreadable_or_contradictory_passes() {
        assert_eq!(read(&[]), "None");
        for pair in
            [("authorization", "Basic k"), ("authorization", "Bearer"), ("authorization", "k"), ("x-api-key", "")]
        {
            assert_eq!(read(&[pair]), r#"Secret("")"#, "{pair:?}");
        }
        assert_eq!(read(&[("authorization", "Bearer a"), ("x-api-key", "b")]), "Contradictory");
        assert_eq!(read(&[("x-api-key", "a"), ("x-api-key", "b")]), "Contradictory");
    }
}
