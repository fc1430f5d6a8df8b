//! The headers that a site's answers get, and where they lead.

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};

use crate::spec::Headers;

/// A year, for this name alone: what runs under names below it is not ours to decide.
const HSTS: &str = "max-age=31536000";
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// Of everybody.
const COMMON: [(HeaderName, &str); 3] =
    [(STRICT_TRANSPORT_SECURITY, HSTS), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (X_FRAME_OPTIONS, "DENY")];
/// As guides list them.
const TUTORIAL: [(HeaderName, &str); 3] = [
    (X_XSS_PROTECTION, "1; mode=block"),
    (REFERRER_POLICY, "no-referrer-when-downgrade"),
    (CONTENT_SECURITY_POLICY, "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
];
/// As is done today: the filter that `X-XSS-Protection` spoke to is gone from browsers, and did harm in old ones.
const CURRENT: [(HeaderName, &str); 5] = [
    (X_XSS_PROTECTION, "0"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    (OPENER, "same-origin"),
    (PERMISSIONS, "camera=(), geolocation=(), microphone=()"),
];
/// What an answer may say more strictly, or must say otherwise, for itself.
const OWN: [HeaderName; 4] = [CONTENT_SECURITY_POLICY, REFERRER_POLICY, OPENER, PERMISSIONS];

/// Adds what is missing, once; an answer's own policies stand.
pub(crate) fn dress(headers: Headers, answer: &mut HeaderMap) {
    let more: &[(HeaderName, &str)] = match headers {
        Headers::Off => return,
        Headers::Tutorial => &TUTORIAL,
        Headers::Current => &CURRENT,
    };
    for (name, value) in COMMON.iter().chain(more) {
        if !(OWN.contains(name) && answer.contains_key(name)) {
            answer.insert(name.clone(), HeaderValue::from_static(value));
        }
    }
}

/// The members of the lists that fields of this name hold (RFC 9110, section 5.6.1).
pub(crate) fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether one of them is this word, in letters of any case.
pub(crate) fn says(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    members(headers, name).any(|member| member.eq_ignore_ascii_case(word))
}

/// A path that stands in a `Location`.
pub(crate) fn location(base: &str, target: &str) -> HeaderValue {
    // Both were checked: a base from the configuration, a target from a request whose every byte was looked at.
    HeaderValue::try_from(format!("{base}{target}")).unwrap_or(HeaderValue::from_static("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_header_stands_once_and_own_policies_stay() {
        let mut answer = HeaderMap::new();
        answer.append(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
        answer.append(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        answer.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
        dress(Headers::Tutorial, &mut answer);
        let told: Vec<_> = answer.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        for expected in [
            ("strict-transport-security", "max-age=31536000"),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("x-xss-protection", "1; mode=block"),
            ("referrer-policy", "no-referrer-when-downgrade"),
            ("content-security-policy", "default-src 'none'"),
        ] {
            assert!(told.contains(&expected), "{told:?}");
        }
        assert_eq!(told.len(), 6);
        let mut bare = HeaderMap::new();
        dress(Headers::Off, &mut bare);
        assert!(bare.is_empty());
    }
}
