//! `slice`: one of several parts of a scroll or of a point in time, for readers that work side by side.

use serde_json::Value;
use tollhouse_query::ast::{BoolQuery, Query, SearchRequest};

use crate::error::ElasticError;

/// Most parts; Elasticsearch's `index.max_slices_per_scroll`.
const PARTS_MAX: u64 = 1_024;

/// One part. Documents are in it by their records' numbers, whatever `field` says: the parts of one `max` have no document in
/// common and leave out none.
pub(crate) struct Slice {
    id: u64,
    max: u64,
}

impl Slice {
    /// Takes it out of a search body.
    pub(crate) fn take(body: &mut Value) -> Result<Option<Self>, ElasticError> {
        let slice = body.as_object_mut().and_then(|body| body.shift_remove("slice"));
        let Some(slice) = slice.filter(|slice| !slice.is_null()) else { return Ok(None) };
        let wrong = ElasticError::Parameter;
        let Value::Object(slice) = slice else { return Err(wrong("[slice] must be an object".to_owned())) };
        if let Some(unknown) = slice.keys().find(|key| !matches!(key.as_str(), "id" | "max" | "field")) {
            return Err(wrong(format!("[slice] unknown field [{unknown}]")));
        }
        let number = |name: &str| {
            slice.get(name).and_then(Value::as_i64).ok_or_else(|| wrong(format!("[slice] needs a number [{name}]")))
        };
        let (id, max) = (number("id")?, number("max")?);
        let what = match (u64::try_from(id), u64::try_from(max)) {
            (Err(_), _) => "id must be greater than or equal to 0".to_owned(),
            (_, Err(_) | Ok(0 | 1)) => "max must be greater than 1".to_owned(),
            (Ok(id), Ok(max)) if id >= max => "max must be greater than id".to_owned(),
            (_, Ok(max)) if max > PARTS_MAX => format!(
                "The number of slices [{max}] is too large. It must be less than [{PARTS_MAX}]. This limit can be set by \
                 changing the [index.max_slices_per_scroll] index level setting."
            ),
            (Ok(id), Ok(max)) => return Ok(Some(Self { id, max })),
        };
        Err(wrong(what))
    }

    /// Limits a search to this part.
    pub(crate) fn limit(&self, request: &mut SearchRequest) {
        let query = std::mem::replace(&mut request.query, Query::MatchAll);
        let part = Query::Slice { id: self.id, max: self.max };
        request.query = Query::Bool(BoolQuery { filter: vec![query, part], ..BoolQuery::default() });
    }

    /// Refuses it where nothing goes on over several requests.
    pub(crate) fn refuse(body: &Value) -> Result<(), ElasticError> {
        match body.get("slice") {
            None | Some(Value::Null) => Ok(()),
            Some(_) => {
                Err(ElasticError::Validation("[slice] can only be used with [scroll] or [point-in-time] requests"))
            }
        }
    }
}
