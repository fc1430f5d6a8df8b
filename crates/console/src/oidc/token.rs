//! Whether an ID token is to be believed (`OpenID` Connect Core 1.0, section 3.1.3.7). Pure.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::claims::Claims;

/// With what a token may be signed: only with a key that the provider alone has. `none`, and what a shared secret can make,
/// are not here.
pub(crate) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// Longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 64 << 10;
/// Keys of a provider that are looked at.
const KEYS_MAX: usize = 64;
/// By how much the two clocks may differ, in seconds.
const SKEW_S: i64 = 60;
/// Longest subject, in characters (OpenID Connect Core 1.0, section 2).
const SUBJECT_CHARS_MAX: usize = 255;

/// The keys of a provider (RFC 7517); those of kinds that nobody here knows are not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Keys {
    keys: Vec<Value>,
}

/// What the token has to say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
}

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum WrongToken {
    #[error("it is no token")]
    Form,
    #[error("it is not signed as it has to be")]
    Algorithm,
    #[error("none of the provider's keys signed it")]
    Key,
    #[error("it is not for this client")]
    Audience,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it does not belong to this attempt")]
    Nonce,
    #[error("it names nobody")]
    Subject,
    #[error("{0}")]
    Time(String),
}

/// Gives what the token says, if it is to be believed at this moment.
pub(super) fn check(token: &str, keys: &Keys, expected: &Expected<'_>, now_s: i64) -> Result<Claims, WrongToken> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(WrongToken::Form);
    }
    let all = signed(token, keys)?;
    let text = |name: &str| all.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(WrongToken::Issuer);
    }
    check_audience(&all, expected.client_id)?;
    check_times(&all, now_s)?;
    if text("nonce") != Some(expected.nonce) {
        return Err(WrongToken::Nonce);
    }
    let subject = text("sub").unwrap_or_default().to_owned();
    if subject.is_empty() || subject.chars().count() > SUBJECT_CHARS_MAX {
        return Err(WrongToken::Subject);
    }
    Ok(Claims { subject, all })
}

/// The claims of a token that one of the keys signed.
fn signed(token: &str, keys: &Keys) -> Result<Map<String, Value>, WrongToken> {
    let head = decode_header(token).map_err(|error| match error.kind() {
        ErrorKind::InvalidAlgorithmName | ErrorKind::UnsupportedAlgorithm | ErrorKind::Json(_) => WrongToken::Algorithm,
        _ => WrongToken::Form,
    })?;
    if !ALGORITHMS.contains(&head.alg) {
        return Err(WrongToken::Algorithm);
    }
    let mut validation = Validation::new(head.alg);
    // Looked at below, all in one place and against one clock.
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    let known = keys.keys.iter().take(KEYS_MAX).filter_map(|key| Jwk::deserialize(key).ok());
    let fitting = known.filter(|key| fits(key, head.kid.as_deref(), head.alg));
    for key in fitting {
        let Ok(key) = DecodingKey::from_jwk(&key) else { continue };
        if let Ok(token) = decode::<Map<String, Value>>(token, &key, &validation) {
            return Ok(token.claims);
        }
    }
    Err(WrongToken::Key)
}

/// Whether a key may have signed a token with this head.
fn fits(key: &Jwk, kid: Option<&str>, algorithm: Algorithm) -> bool {
    let common = &key.common;
    let is_named = kid.is_none_or(|kid| common.key_id.as_deref() == Some(kid));
    let is_to_sign = common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
    let is_for = common.key_algorithm.is_none_or(|of| of.to_string().parse() == Ok(algorithm));
    is_named && is_to_sign && is_for
}

fn check_audience(all: &Map<String, Value>, client_id: &str) -> Result<(), WrongToken> {
    let is_us = |value: &Value| value.as_str() == Some(client_id);
    let (is_for_us, is_for_others) = match all.get("aud") {
        Some(Value::Array(many)) => (many.iter().any(is_us), many.len() > 1),
        Some(one) => (is_us(one), false),
        None => (false, false),
    };
    let party = all.get("azp");
    let is_party = party.is_some_and(is_us);
    if is_for_us && (is_party || (party.is_none() && !is_for_others)) { Ok(()) } else { Err(WrongToken::Audience) }
}

fn check_times(all: &Map<String, Value>, now_s: i64) -> Result<(), WrongToken> {
    // Whole seconds; a provider may write parts of them.
    let moment = |name: &str| all.get(name).and_then(Value::as_f64).map(|seconds| seconds as i64);
    let wrong = |words: String| Err(WrongToken::Time(words));
    let (Some(ends), Some(made)) = (moment("exp"), moment("iat")) else {
        return wrong("it does not say when it was made and when it ends".to_owned());
    };
    if ends <= now_s - SKEW_S {
        return wrong(format!("it ended {} s ago by the clock here", now_s - ends));
    }
    if made > now_s + SKEW_S {
        return wrong(format!("it will be made in {} s by the clock here", made - now_s));
    }
    match moment("nbf") {
        Some(begins) if begins > now_s + SKEW_S => {
            wrong(format!("it will be good in {} s by the clock here", begins - now_s))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    /// A key of these tests alone.
    const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1so0rCGOSGwuSaNIV3cL+MAzY/Yfs9KpFv9mzkcELjuhRANCAARlUpslJMA+DqPEjiqLn78D7ICjtZLg0oIupdK260+7ohFlrUK6f1YAPYeE95FcAjPObKToPX0atdXpbOiH640q";
    const X: &str = "ZVKbJSTAPg6jxI4qi5-_A-yAo7WS4NKCLqXStutPu6I";
    const Y: &str = "EWWtQrp_VgA9h4T3kVwCM85spOg9fRq11els6IfrjSo";
    const NOW_S: i64 = 1_800_000_000;
    const EXPECTED: Expected<'_> = Expected { issuer: "https://id.example.com", client_id: "tollhouse", nonce: "n-1" };

    fn keys(more: &Value) -> Keys {
        let mut key = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "a", "use": "sig", "alg": "ES256"});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Keys { keys: vec![json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"}), key] }
    }

    fn claims(more: &Value) -> Value {
        let mut claims = json!({
            "iss": "https://id.example.com", "aud": "tollhouse", "sub": "7", "nonce": "n-1", "iat": NOW_S, "exp": NOW_S + 300,
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    }

    fn token(claims: &Value) -> String {
        let head = Header { kid: Some("a".into()), ..Header::new(Algorithm::ES256) };
        encode(&head, claims, &EncodingKey::from_ec_der(&STANDARD.decode(KEY).unwrap())).unwrap()
    }

    fn verdict(more: &Value) -> String {
        let checked = check(&token(&claims(more)), &keys(&json!({})), &EXPECTED, NOW_S);
        checked.map_or_else(|wrong| wrong.to_string(), |claims| claims.subject)
    }

    #[test]
    fn what_a_token_has_to_say() {
        for (more, expected) in [
            (json!({}), "7"),
            (json!({"aud": ["tollhouse"]}), "7"),
            (json!({"aud": ["tollhouse", "other"], "azp": "tollhouse"}), "7"),
            (json!({"exp": NOW_S - 30}), "7"),
            (json!({"iat": NOW_S + 30}), "7"),
            (json!({"iss": "https://id.example.com/"}), "it is of another issuer"),
            (json!({"aud": "other"}), "it is not for this client"),
            (json!({"aud": null}), "it is not for this client"),
            (json!({"aud": ["tollhouse", "other"]}), "it is not for this client"),
            (json!({"azp": "other"}), "it is not for this client"),
            (json!({"nonce": "n-2"}), "it does not belong to this attempt"),
            (json!({"nonce": null}), "it does not belong to this attempt"),
            (json!({"sub": ""}), "it names nobody"),
            (json!({"sub": "x".repeat(256)}), "it names nobody"),
            (json!({"exp": NOW_S - 60}), "it ended 60 s ago by the clock here"),
            (json!({"exp": null}), "it does not say when it was made and when it ends"),
            (json!({"iat": NOW_S + 61}), "it will be made in 61 s by the clock here"),
            (json!({"nbf": NOW_S + 120}), "it will be good in 120 s by the clock here"),
        ] {
            assert_eq!(verdict(&more), expected, "{more}");
        }
    }

    #[test]
    fn only_the_providers_own_signature_counts() {
        let good = token(&claims(&json!({})));
        let told = |token: &str, keys: &Keys| {
            check(token, keys, &EXPECTED, NOW_S).map(|_| ()).map_err(|wrong| wrong.to_string())
        };
        assert_eq!(told(&good, &keys(&json!({}))), Ok(()));
        let key = Err("none of the provider's keys signed it".to_owned());
        for more in [json!({"kid": "b"}), json!({"use": "enc"}), json!({"alg": "ES384"}), json!({"x": Y, "y": X})] {
            assert_eq!(told(&good, &keys(&more)), key, "{more}");
        }
        // The claims of another token under this signature.
        let parts: Vec<&str> = good.split('.').collect();
        let forged = URL_SAFE_NO_PAD.encode(claims(&json!({"sub": "8"})).to_string());
        assert_eq!(told(&format!("{}.{forged}.{}", parts[0], parts[2]), &keys(&json!({}))), key);
        // Without a signature, and signed with the public key as if it were a shared secret.
        let algorithm = Err("it is not signed as it has to be".to_owned());
        for name in ["none", "None", "HS256"] {
            let head = URL_SAFE_NO_PAD.encode(json!({"alg": name, "kid": "a"}).to_string());
            assert_eq!(told(&format!("{head}.{}.", parts[1]), &keys(&json!({}))), algorithm, "{name}");
        }
        let shared =
            encode(&Header::new(Algorithm::HS256), &claims(&json!({})), &EncodingKey::from_secret(X.as_bytes()));
        assert_eq!(told(&shared.unwrap(), &keys(&json!({"kty": "oct", "k": X, "alg": "HS256"}))), algorithm);
        assert!(told("no token", &keys(&json!({}))).is_err());
    }
}
