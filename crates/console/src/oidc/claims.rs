//! From what a provider says of a user to who that is here: name, allowed domain, role. Pure.

use serde_json::{Map, Value};
use tollhouse_state::{ProviderUser, Role};

use super::{NotIn, OidcSettings};

/// Length of a user's name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Groups of a user that are looked at.
const GROUPS_MAX: usize = 1000;
/// Stands for every user whom the provider names.
const EVERYBODY: &str = "*";

/// What gives a role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleRule {
    /// The role.
    pub role: Role,
    /// Values of the claim, each of which gives it; `*` stands for everybody.
    pub values: Vec<String>,
}

/// What is known of a user whose ID token was believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    /// By which the provider knows the user.
    pub(crate) subject: String,
    /// Everything that was said.
    pub(crate) all: Map<String, Value>,
}

impl Claims {
    /// The claim at a path; one whose own name has dots goes before a member of a member.
    pub(crate) fn at(&self, path: &str) -> Option<&Value> {
        let nested = || {
            let (first, rest) = path.split_once('.')?;
            rest.split('.').try_fold(self.all.get(first)?, |value, name| value.get(name))
        };
        self.all.get(path).or_else(nested)
    }
}

/// Who this is here, with the greatest role of all rules that fit.
pub(super) fn user(settings: &OidcSettings, claims: &Claims) -> Result<ProviderUser, NotIn> {
    if !settings.domains.is_empty() && !has_domain(&settings.domains, claims) {
        return Err(NotIn::Domain);
    }
    let groups = groups(claims.at(&settings.role_claim));
    let fits =
        |rule: &&RoleRule| rule.values.iter().any(|value| value == EVERYBODY || groups.contains(&value.as_str()));
    let role = settings.roles.iter().filter(fits).map(|rule| rule.role).max().ok_or(NotIn::Group)?;
    Ok(ProviderUser {
        issuer: settings.issuer.clone(),
        subject: claims.subject.clone(),
        name: name(settings, claims),
        role,
    })
}

/// A claim is a list of texts or one text.
fn groups(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).take(GROUPS_MAX).collect(),
        _ => Vec::new(),
    }
}

fn has_domain(domains: &[String], claims: &Claims) -> bool {
    let is_verified = match claims.at("email_verified") {
        Some(Value::Bool(is_verified)) => *is_verified,
        Some(Value::String(word)) => word == "true",
        _ => false,
    };
    let domain = claims.at("email").and_then(Value::as_str).and_then(|address| address.rsplit_once('@'));
    is_verified && domain.is_some_and(|(_, domain)| domains.iter().any(|one| one.eq_ignore_ascii_case(domain)))
}

/// What the user is called: the claim that is set, else a mail address, else the subject.
fn name(settings: &OidcSettings, claims: &Claims) -> String {
    let read = |path: &str| {
        let text = claims.at(path)?.as_str()?;
        let shown: String = text.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        (!shown.is_empty()).then_some(shown)
    };
    let names = [settings.name_claim.as_str(), "email", "sub"];
    names.into_iter().find_map(read).unwrap_or_else(|| claims.subject.chars().take(NAME_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn settings() -> OidcSettings {
        let rule = |role, values: &[&str]| RoleRule { role, values: values.iter().map(ToString::to_string).collect() };
        OidcSettings {
            name: "id".into(),
            issuer: "https://id.example.com".into(),
            client_id: "tollhouse".into(),
            client_secret: None,
            ca: None,
            scopes: vec!["openid".into()],
            name_claim: "preferred_username".into(),
            role_claim: "realm_access.roles".into(),
            roles: vec![rule(Role::Viewer, &["staff"]), rule(Role::Admin, &["leads", "ops"])],
            domains: vec!["example.com".into()],
            session: Duration::from_hours(12),
            public_url: "https://ai.example.com".into(),
        }
    }

    fn claims(more: &Value) -> Claims {
        let mut all = json!({
            "sub": "7", "preferred_username": "ann", "email": "ann@Example.com", "email_verified": true,
            "realm_access": {"roles": ["staff"]},
        });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Claims { subject: "7".into(), all: all.as_object().unwrap().clone() }
    }

    #[test]
    fn a_role_follows_from_the_claims() {
        for (more, role) in [
            (json!({}), Some(Role::Viewer)),
            (json!({"realm_access": {"roles": ["staff", "ops"]}}), Some(Role::Admin)),
            (json!({"realm_access": {"roles": "leads"}}), Some(Role::Admin)),
            (json!({"realm_access.roles": ["leads"]}), Some(Role::Admin)),
            (json!({"realm_access": {"roles": ["Staff", "*", ""]}}), None),
            (json!({"realm_access": {"roles": [["staff"], 7, null]}}), None),
            (json!({"realm_access": null}), None),
        ] {
            assert_eq!(user(&settings(), &claims(&more)).ok().map(|user| user.role), role, "{more}");
        }
    }

    #[test]
    fn a_domain_counts_only_when_the_address_is_verified() {
        for (more, is_in) in [
            (json!({}), true),
            (json!({"email_verified": "true"}), true),
            (json!({"email_verified": false}), false),
            (json!({"email_verified": null}), false),
            (json!({"email": "ann@example.com.evil.example"}), false),
            (json!({"email": "ann@evil.example@example.com"}), true),
            (json!({"email": "example.com"}), false),
        ] {
            assert_eq!(user(&settings(), &claims(&more)).is_ok(), is_in, "{more}");
        }
    }

    #[test]
    fn there_is_always_a_name() {
        for (more, expected) in [
            (json!({}), "ann"),
            (json!({"preferred_username": " \u{7} "}), "ann@Example.com"),
            (json!({"preferred_username": 7, "email": "a\u{1b}b@example.com"}), "ab@example.com"),
        ] {
            assert_eq!(user(&settings(), &claims(&more)).unwrap().name, expected);
        }
    }
}
