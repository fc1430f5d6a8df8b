//! As what a request is counted: whose windows, places and budgets it uses, and whose turn it is in the queue.

use std::net::IpAddr;
use std::sync::Arc;

use tollhouse_access::bucket;
use tollhouse_limits::{Rules, Scope};

use crate::{By, Caller};

/// Whom a request can be counted for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) user: Option<&'a str>,
    pub(crate) client: IpAddr,
}

impl Who<'_> {
    /// The name of what is shared `by`. The kind stands before the name, so that a user who is called like an address
    /// does not share its window; a user stands behind its key, since any key may name any user.
    pub(crate) fn name(self, by: By, model: &str) -> String {
        let key = self.caller.key_id.as_deref();
        match (by, key, self.user) {
            (By::Model, ..) => format!("model {model}"),
            (By::Key, Some(key), _) => format!("key {key}"),
            (By::User, Some(key), Some(user)) => format!("user {key}:{user}"),
            (By::User, None, Some(user)) => format!("user {user}"),
            (By::User, Some(key), None) => format!("key {key}"),
            (By::Address | By::Key | By::User, ..) => format!("address {}", bucket(self.client)),
        }
    }

    /// The limits that the request comes under: the key's own where it has some, each in place of the general one.
    /// `by` says who shares the general ones; a key's own are the key's.
    pub(crate) fn scopes(self, general: &Arc<Rules>, by: By, model: &str) -> Vec<Scope> {
        let own = self.caller.key.as_ref().filter(|key| !key.rules.is_empty());
        let Some(key) = own else {
            return if general.is_empty() {
                Vec::new()
            } else {
                vec![Scope::new(self.name(by, model), general.clone())]
            };
        };
        let name = self.name(By::Key, model);
        if by == By::Key {
            return vec![Scope::new(name, key.rules.or(general).into())];
        }
        let own = Scope::new(name, key.rules.clone().into());
        let rest = without(general, &key.rules);
        if rest.is_empty() { vec![own] } else { vec![own, Scope::new(self.name(by, model), rest.into())] }
    }
}

/// What `general` says and `own` does not.
fn without(general: &Rules, own: &Rules) -> Rules {
    Rules {
        requests: general.requests.filter(|_| own.requests.is_none()),
        tokens: general.tokens.filter(|_| own.tokens.is_none()),
        concurrent: general.concurrent.filter(|_| own.concurrent.is_none()),
        budgets: if own.budgets.is_empty() { general.budgets.clone() } else { Vec::new() },
    }
}
