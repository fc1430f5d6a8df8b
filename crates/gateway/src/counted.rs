//! As what a request is counted: whose windows, places and budgets it uses, and whose turn it is in the queue.

use std::net::IpAddr;
use std::sync::Arc;

use tollhouse_access::bucket;
use tollhouse_limits::{Budget, Rules, Scope};

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
            (By::Key, Some(key), _) | (By::User, Some(key), None) => format!("key {key}"),
            (By::User, Some(key), Some(user)) => format!("user {key}:{user}"),
            (By::User, None, Some(user)) => format!("user {user}"),
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

/// What `general` says and `own` does not. Budgets of a day and of a month are two kinds, as in [`Rules::or`].
fn without(general: &Rules, own: &Rules) -> Rules {
    let is_own = |budget: &Budget| own.budgets.iter().any(|own| own.period == budget.period);
    Rules {
        requests: general.requests.filter(|_| own.requests.is_none()),
        tokens: general.tokens.filter(|_| own.tokens.is_none()),
        concurrent: general.concurrent.filter(|_| own.concurrent.is_none()),
        budgets: general.budgets.iter().filter(|budget| !is_own(budget)).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use tollhouse_access::Key;
    use tollhouse_limits::Period;

    use super::*;

    #[test]
    fn each_limit_of_a_key_stands_in_place_of_the_general_one_of_its_kind() {
        let budget = |tokens, period| Budget { tokens, period };
        let general = Rules { budgets: vec![budget(1, Period::Day), budget(2, Period::Month)], ..Rules::default() };
        let mut key = Key::new("k", "user");
        key.rules.budgets = vec![budget(9, Period::Day)];
        let caller = Caller { key: Some(key.into()), key_id: Some("k".to_owned()) };
        let who = Who { caller: &caller, user: None, client: [127, 0, 0, 1].into() };
        let told = |by| -> Vec<(String, Vec<Budget>)> {
            let scopes = who.scopes(&Arc::new(general.clone()), by, "m");
            scopes.iter().map(|scope| (scope.name.to_string(), scope.rules.budgets.clone())).collect()
        };
        let both = vec![budget(9, Period::Day), budget(2, Period::Month)];
        assert_eq!(told(By::Key), [("key k".to_owned(), both)]);
        let apart = [
            ("key k".to_owned(), vec![budget(9, Period::Day)]),
            ("address 127.0.0.1/32".to_owned(), vec![budget(2, Period::Month)]),
        ];
        assert_eq!(told(By::Address), apart);
    }
}
