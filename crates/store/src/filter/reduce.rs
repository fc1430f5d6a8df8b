//! A condition as short as it can be for one segment.
//!
//! A range of time that holds all of a segment, or nothing of it, says no more about its documents than "all" or "none". What is left
//! of a condition with a moving range is then the same at each moment, in all segments but those that the range cuts. That is what
//! answers are remembered under. Elasticsearch does the same for its shards, Quickwit for its splits.

use tollhouse_query::fields::FieldKind;

use super::segment::SegmentFilter;
use super::{Filter, Test};
use crate::bits::Docs;
use crate::column::{Columns, NumberKind, ValueKind};
use crate::error::StoreError;
use crate::field::FieldRef;

impl SegmentFilter<'_> {
    /// A condition that the same documents of this segment fulfil, without what all or none of them do.
    pub(crate) fn reduced(&self, filter: &Filter) -> Result<Filter, StoreError> {
        match filter {
            Filter::Values { field, test } => match self.settled(field, test)? {
                Some(Docs::All) => Ok(Filter::All),
                Some(Docs::None) => Ok(Filter::None),
                Some(Docs::Some(_)) | None => Ok(filter.clone()),
            },
            Filter::Bool { required, forbidden, optional, minimum } => {
                self.reduced_bool(required, forbidden, optional, *minimum)
            }
            Filter::All | Filter::None | Filter::Words { .. } | Filter::Exists(_) | Filter::Slice { .. } => {
                Ok(filter.clone())
            }
        }
    }

    fn reduced_bool(
        &self,
        required: &[Filter],
        forbidden: &[Filter],
        optional: &[Filter],
        mut minimum: usize,
    ) -> Result<Filter, StoreError> {
        let (mut must, mut must_not, mut may) = (Vec::new(), Vec::new(), Vec::new());
        for filter in required {
            match self.reduced(filter)? {
                Filter::All => {}
                Filter::None => return Ok(Filter::None),
                filter => must.push(filter),
            }
        }
        for filter in forbidden {
            match self.reduced(filter)? {
                Filter::None => {}
                Filter::All => return Ok(Filter::None),
                filter => must_not.push(filter),
            }
        }
        for filter in optional {
            match self.reduced(filter)? {
                Filter::None => {}
                Filter::All => minimum = minimum.saturating_sub(1),
                filter => may.push(filter),
            }
        }
        if minimum > may.len() {
            return Ok(Filter::None);
        }
        if minimum == 0 {
            may.clear();
        }
        if must_not.is_empty() && may.is_empty() && must.len() < 2 {
            return Ok(must.pop().unwrap_or(Filter::All));
        }
        Ok(Filter::Bool { required: must, forbidden: must_not, optional: may, minimum })
    }

    /// All or none of the documents, where the smallest and the largest value of a column tell it: a look at each value is spared.
    fn settled(&self, field: &FieldRef, test: &Test) -> Result<Option<Docs>, StoreError> {
        let Test { numbers, is_false: false, is_true: false, texts: None } = test else { return Ok(None) };
        let [range] = numbers.as_slice() else { return Ok(None) };
        let mut docs = Docs::None;
        for column in Columns::open(self.reader, &field.column)?.list {
            let ValueKind::Number(kind) = column.kind else { continue };
            // A range of numbers finds no booleans.
            if kind == NumberKind::Bool {
                continue;
            }
            let settled = match range.raw(kind) {
                Some((low, high)) => column.settled(low, high),
                None => Some(Docs::None),
            };
            match settled {
                Some(settled) => docs = docs.or(settled),
                None => return Ok(None),
            }
        }
        Ok(Some(docs))
    }
}

impl Filter {
    /// The condition without its ranges of time.
    pub(crate) fn at_any_time(&self) -> Filter {
        let all = |filters: &[Filter]| filters.iter().map(Filter::at_any_time).collect();
        match self {
            Filter::Values { field, .. } if field.kind == Some(FieldKind::Date) => Filter::All,
            Filter::Bool { required, forbidden, optional, minimum } => Filter::Bool {
                required: all(required),
                forbidden: all(forbidden),
                optional: all(optional),
                minimum: *minimum,
            },
            filter => filter.clone(),
        }
    }

    /// Whether it depends on time: the ends of a range that cuts a segment mostly move with the present, and never come again.
    pub(crate) fn is_of_time(&self) -> bool {
        match self {
            Filter::Values { field, .. } => field.kind == Some(FieldKind::Date),
            Filter::Bool { required, forbidden, optional, .. } => {
                [required, forbidden, optional].into_iter().flatten().any(Filter::is_of_time)
            }
            Filter::All | Filter::None | Filter::Words { .. } | Filter::Exists(_) | Filter::Slice { .. } => false,
        }
    }
}
