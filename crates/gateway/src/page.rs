//! One page of a list, as Anthropic's API asks for it: `limit`, `after_id` and `before_id` in the query.

use std::ops::Range;

use percent_encoding::percent_decode_str;
use tollhouse_dialect::RequestError;

/// Items of a page where the client does not say.
const LIMIT_DEFAULT: usize = 20;
/// Most items of a page.
const LIMIT_MAX: usize = 1000;

/// Which part of a list is shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The items' places in the list.
    pub(crate) items: Range<usize>,
    /// Whether there are more in the direction that was asked for.
    pub(crate) has_more: bool,
}

impl Page {
    /// The page that `query` asks for of the items with these `ids`; an error names the field at fault.
    pub(crate) fn of(ids: &[&str], query: &str) -> Result<Self, RequestError> {
        let (mut limit, mut after, mut before) = (LIMIT_DEFAULT, None, None);
        for (name, value) in pairs(query) {
            match name.as_str() {
                _ if value.is_empty() => {}
                "limit" => {
                    let number = value.parse().ok().filter(|number| (1..=LIMIT_MAX).contains(number));
                    let problem = format!("must be a whole number from 1 to {LIMIT_MAX}");
                    limit = number.ok_or_else(|| fault("limit", problem))?;
                }
                "after_id" => after = Some(place(ids, "after_id", &value)?),
                "before_id" => before = Some(place(ids, "before_id", &value)?),
                _ => {}
            }
        }
        Ok(match (after, before) {
            (Some(_), Some(_)) => return Err(fault("before_id", "cannot be used together with after_id")),
            (None, Some(before)) => {
                let start = before.saturating_sub(limit);
                Self { items: start..before, has_more: start > 0 }
            }
            (after, None) => {
                let start = after.map_or(0, |after| after + 1);
                let end = ids.len().min(start + limit);
                Self { items: start..end, has_more: end < ids.len() }
            }
        })
    }
}

fn place(ids: &[&str], field: &str, wanted: &str) -> Result<usize, RequestError> {
    let found = ids.iter().position(|id| *id == wanted);
    found.ok_or_else(|| fault(field, "must be the id of a model in the list"))
}

fn fault(field: &str, problem: impl Into<String>) -> RequestError {
    RequestError::Field { field: field.to_owned(), problem: problem.into() }
}

/// The fields of a query (`application/x-www-form-urlencoded`).
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query.split('&').map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<(Range<usize>, bool), String> {
        let ids = ["a", "b:1", "c/d", "e", "f g"];
        let found = Page::of(&ids, query).map_err(|error| error.to_string())?;
        Ok((found.items, found.has_more))
    }

    #[test]
    fn pages_are_cut_where_the_query_says() {
        let cases = [
            ("", 0..5, false),
            ("limit=5", 0..5, false),
            ("limit=2", 0..2, true),
            ("limit=2&after_id=b%3A1", 2..4, true),
            ("after_id=c/d&limit=2", 3..5, false),
            ("after_id=f+g", 5..5, false),
            ("before_id=e&limit=2", 1..3, true),
            ("before_id=e&limit=3", 0..3, false),
            ("before_id=a", 0..0, false),
            ("limit=&after_id=&beta=true", 0..5, false),
        ];
        for (query, items, has_more) in cases {
            assert_eq!(page(query), Ok((items, has_more)), "{query}");
        }
    }

    #[test]
    fn a_page_is_of_bounded_length() {
        let ids: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert_eq!(Page::of(&ids, "").expect("a page"), Page { items: 0..20, has_more: true });
        assert_eq!(Page::of(&ids, "limit=1000").expect("a page"), Page { items: 0..1000, has_more: true });
    }

    #[test]
    fn what_makes_no_page_is_named() {
        for (query, expected) in [
            ("limit=0", "limit must be a whole number from 1 to 1000"),
            ("limit=1001", "limit must be a whole number from 1 to 1000"),
            ("limit=-1", "limit must be a whole number from 1 to 1000"),
            ("limit=many", "limit must be a whole number from 1 to 1000"),
            ("after_id=z", "after_id must be the id of a model in the list"),
            ("before_id=A", "before_id must be the id of a model in the list"),
            ("after_id=a&before_id=e", "before_id cannot be used together with after_id"),
        ] {
            assert_eq!(page(query), Err(expected.to_owned()), "{query}");
        }
    }
}
