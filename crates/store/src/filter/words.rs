//! Conditions on the words of a text, over one segment's inverted index.

use std::sync::Arc;

use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{EnableScoring, PhraseQuery, Query as _};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, InvertedIndexReader, SegmentReader, TERMINATED, Term};
use tollhouse_query::ast::Bound;
use tollhouse_query::{PhraseWord, stand_near};

use super::segment::at_least;
use super::values::{in_texts, text};
use super::{TextTest, WordTest};
use crate::bits::{Bits, Docs};
use crate::error::StoreError;
use crate::field::FieldRef;

/// The words of one text field in one segment.
pub(super) struct Words<'a> {
    reader: &'a SegmentReader,
    field: Field,
    index: Arc<InvertedIndexReader>,
}

impl<'a> Words<'a> {
    /// The documents whose words fulfil a test.
    pub(super) fn docs(reader: &'a SegmentReader, field: &FieldRef, test: &WordTest) -> Result<Docs, StoreError> {
        let Ok(field) = reader.schema().get_field(&field.name) else { return Ok(Docs::None) };
        let index = reader.inverted_index(field).map_err(StoreError::tantivy("opening an inverted index"))?;
        let words = Self { reader, field, index };
        match test {
            WordTest::One(test) => words.any(test),
            WordTest::AtLeast(tests, minimum) if *minimum > tests.len() => Ok(Docs::None),
            WordTest::AtLeast(tests, 1) => {
                tests.iter().try_fold(Docs::None, |docs, test| Ok(docs.or(words.any(test)?)))
            }
            WordTest::AtLeast(tests, minimum) if *minimum == tests.len() => words.all(tests.iter()),
            WordTest::AtLeast(tests, minimum) => {
                at_least(tests.iter().map(|test| words.any(test)), *minimum, reader.max_doc())
            }
            WordTest::Phrase(phrase) => words.phrase(phrase),
            WordTest::Near(phrase, slop) => words.near(phrase, *slop),
        }
    }

    fn all<'t>(&self, tests: impl Iterator<Item = &'t TextTest>) -> Result<Docs, StoreError> {
        let mut docs = Docs::All;
        for test in tests {
            docs = docs.and(self.any(test)?);
            if matches!(docs, Docs::None) {
                break;
            }
        }
        Ok(docs)
    }

    /// Documents with a word that fulfils a test.
    fn any(&self, test: &TextTest) -> Result<Docs, StoreError> {
        let mut bits = Bits::new(self.reader.max_doc());
        self.each(test, IndexRecordOption::Basic, |mut postings| {
            let mut doc = postings.doc();
            while doc != TERMINATED {
                bits.insert(doc);
                doc = postings.advance();
            }
            Ok(())
        })?;
        Ok(bits.into())
    }

    /// Visits the documents of each word that fulfils a test.
    fn each(
        &self,
        test: &TextTest,
        option: IndexRecordOption,
        mut visit: impl FnMut(SegmentPostings) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let doing = "reading the words of a text";
        if let TextTest::OneOf(words) = test {
            for word in words {
                let term = Term::from_field_text(self.field, word);
                let postings = self.index.read_postings(&term, option).map_err(StoreError::column(doing))?;
                postings.map_or(Ok(()), &mut visit)?;
            }
            return Ok(());
        }
        let beginning = match test {
            TextTest::Fits(fit) => fit.beginning(),
            TextTest::Between(Bound::Inclusive(low) | Bound::Exclusive(low), _) => &text(low).unwrap_or_default(),
            TextTest::Between(Bound::Open, _) | TextTest::OneOf(_) => "",
        };
        let mut words = self.index.terms().range().ge(beginning).into_stream().map_err(StoreError::column(doing))?;
        while words.advance() {
            let Ok(word) = std::str::from_utf8(words.key()) else { continue };
            let is_wanted = match test {
                TextTest::Fits(_) if !word.starts_with(beginning) => break,
                TextTest::Fits(fit) => fit.is_match(word),
                TextTest::Between(low, high) => in_texts(word, low, high),
                TextTest::OneOf(_) => false,
            };
            if is_wanted {
                let postings = self.index.read_postings_from_terminfo(words.value(), option);
                visit(postings.map_err(StoreError::column(doing))?)?;
            }
        }
        Ok(())
    }

    fn phrase(&self, phrase: &[(usize, String)]) -> Result<Docs, StoreError> {
        let terms = phrase.iter().map(|(place, word)| (*place, Term::from_field_text(self.field, word))).collect();
        let weight = PhraseQuery::new_with_offset(terms)
            .weight(EnableScoring::disabled_from_schema(self.reader.schema()))
            .map_err(StoreError::tantivy("preparing a phrase"))?;
        let mut scorer = weight.scorer(self.reader, 1.0).map_err(StoreError::tantivy("looking for a phrase"))?;
        let mut bits = Bits::new(self.reader.max_doc());
        let mut doc = scorer.doc();
        while doc != TERMINATED {
            bits.insert(doc);
            doc = scorer.advance();
        }
        Ok(bits.into())
    }

    /// Of the documents that have all of the words, those where they stand near each other: the same question to the
    /// same places as for one document in memory.
    fn near(&self, phrase: &[(usize, TextTest)], slop: u32) -> Result<Docs, StoreError> {
        let candidates = self.all(phrase.iter().map(|(_, test)| test))?;
        if matches!(candidates, Docs::None) {
            return Ok(candidates);
        }
        let mut words = Vec::with_capacity(phrase.len());
        for (place, test) in phrase {
            words.push(((*place - phrase[0].0) as u32, self.places(test, &candidates)?));
        }
        let mut bits = Bits::new(self.reader.max_doc());
        candidates.for_each_block(self.reader.max_doc(), |block| {
            for doc in block {
                let places: Vec<(u32, &[u32])> =
                    words.iter_mut().map(|(offset, places)| (*offset, places.of(*doc))).collect();
                let phrase: Vec<PhraseWord<'_>> =
                    places.iter().map(|(offset, places)| PhraseWord { offset: *offset, places }).collect();
                if stand_near(&phrase, slop) {
                    bits.insert(*doc);
                }
            }
            Ok::<_, StoreError>(())
        })?;
        Ok(bits.into())
    }

    fn places(&self, test: &TextTest, candidates: &Docs) -> Result<Places, StoreError> {
        let mut collected = Vec::new();
        let mut single = None;
        let is_single = matches!(test, TextTest::OneOf(words) if words.len() == 1);
        self.each(test, IndexRecordOption::WithFreqsAndPositions, |mut postings| {
            if is_single {
                single = Some(postings);
                return Ok(());
            }
            let mut doc = postings.doc();
            let mut places = Vec::new();
            while doc != TERMINATED {
                if candidates.contains(doc) {
                    postings.positions(&mut places);
                    collected.extend(places.iter().map(|place| (doc, *place)));
                }
                doc = postings.advance();
            }
            Ok(())
        })?;
        collected.sort_unstable();
        Ok(Places { single, collected, next: 0, found: Vec::new() })
    }
}

/// Where a document has a word, for documents in ascending order: read from the postings of the word, or collected from
/// those of several.
struct Places {
    single: Option<SegmentPostings>,
    collected: Vec<(DocId, u32)>,
    next: usize,
    found: Vec<u32>,
}

impl Places {
    fn of(&mut self, doc: DocId) -> &[u32] {
        self.found.clear();
        if let Some(postings) = &mut self.single {
            if postings.doc() < doc {
                postings.seek(doc);
            }
            if postings.doc() == doc {
                postings.positions(&mut self.found);
            }
            return &self.found;
        }
        while let Some((other, place)) = self.collected.get(self.next)
            && *other <= doc
        {
            if *other == doc {
                self.found.push(*place);
            }
            self.next += 1;
        }
        &self.found
    }
}
