//! Reads a vocabulary from the metadata of a GGUF file, as Ollama's verbose `/api/show` tells it.

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};

use crate::error::TokensError;
use crate::families::{Family, LINES};
use crate::merge::{Alphabet, Merged, Merger, Rules, Unknown, pair};
use crate::split::Splitter;
use crate::tokenizer::{MERGES_MAX, Prefix, SPACE_MARK, Spaces, Specials, TOKENS_MAX, Tokenizer, Trim};
use crate::visible;

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const MERGES: &str = "tokenizer.ggml.merges";
const SCORES: &str = "tokenizer.ggml.scores";
const TYPES: &str = "tokenizer.ggml.token_type";
const ADD_BEGIN: &str = "tokenizer.ggml.add_bos_token";
const ADD_END: &str = "tokenizer.ggml.add_eos_token";
const ADD_SPACE: &str = "tokenizer.ggml.add_space_prefix";

/// GGUF's types of tokens that are found before anything is split: unknown, control, user-defined.
const SPECIAL_TYPES: [u64; 3] = [2, 3, 4];
const NORMAL_TYPE: u64 = 1;

impl Tokenizer {
    /// Reads `model_info` of a verbose `/api/show`: byte-level BPE (`gpt2`) of the families that are known by name,
    /// SentencePiece (`llama`) and Gemma 4's mixture (`gemma4`).
    ///
    /// # Errors
    /// Arrays that are null (the answer was not verbose), vocabularies that contradict themselves, and tokenizers that
    /// would not be counted exactly: other models, unknown values of `tokenizer.ggml.pre`.
    pub fn from_ggml(metadata: &Map<String, Value>) -> Result<Self, TokensError> {
        let vocabulary = Vocabulary::read(metadata)?;
        match string(metadata, MODEL).ok_or(TokensError::Missing(MODEL))? {
            "gpt2" => vocabulary.bytes(string(metadata, PRE).unwrap_or("default")),
            "llama" => vocabulary.sentencepiece(),
            "gemma4" => vocabulary.gemma4(),
            other => Err(TokensError::unsupported(MODEL, other)),
        }
    }
}

/// The parts that all kinds share.
struct Vocabulary<'m> {
    metadata: &'m Map<String, Value>,
    tokens: Vec<&'m str>,
    ids: FxHashMap<&'m str, u32>,
    types: Vec<u64>,
}

impl<'m> Vocabulary<'m> {
    fn read(metadata: &'m Map<String, Value>) -> Result<Self, TokensError> {
        let tokens: Vec<_> = array(metadata, TOKENS, TOKENS_MAX)?.iter().map(|t| t.as_str().unwrap_or("")).collect();
        let types = match metadata.get(TYPES) {
            Some(Value::Array(types)) => types.iter().map(|kind| kind.as_u64().unwrap_or(NORMAL_TYPE)).collect(),
            _ => vec![NORMAL_TYPE; tokens.len()],
        };
        if types.len() != tokens.len() {
            let (types, tokens) = (types.len(), tokens.len());
            return Err(TokensError::Invalid(format!("{tokens} tokens have {types} types")));
        }
        let ids = tokens.iter().enumerate().map(|(id, token)| (*token, id as u32)).collect();
        Ok(Self { metadata, tokens, ids, types })
    }

    /// Byte-level BPE.
    fn bytes(&self, pre: &str) -> Result<Tokenizer, TokensError> {
        let family = Family::named(pre)?;
        let mut alphabet = Alphabet::no_bytes();
        for (byte, character) in visible::TABLE.iter().enumerate() {
            if let Some(id) = self.ids.get(character.encode_utf8(&mut [0; 4]) as &str) {
                alphabet[byte] = *id;
            }
        }
        let mut merger = Merger {
            alphabet: Alphabet::Bytes(alphabet),
            rules: self.pairs()?,
            whole: FxHashSet::default(),
            unknown: Unknown::Dropped,
        };
        if family.whole {
            merger.keep_whole(self.normal().filter_map(|(_, token)| visible::text(token)));
        }
        Ok(Tokenizer {
            special: self.special()?,
            spaces: Spaces::default(),
            compose: false,
            splitters: family.splitters()?,
            merger,
            around: self.around(family.begins),
            longest: self.longest(|token| token.chars().count()),
        })
    }

    /// SentencePiece's BPE: no list of merges, but a score for each token.
    fn sentencepiece(&self) -> Result<Tokenizer, TokensError> {
        let scores = array(self.metadata, SCORES, TOKENS_MAX)?;
        if scores.len() != self.tokens.len() {
            return Err(TokensError::Invalid(format!("{} tokens have {} scores", self.tokens.len(), scores.len())));
        }
        let merged = |(token, score): (usize, &Value)| {
            let rank = descending(score.as_f64().unwrap_or_default() as f32);
            (self.tokens[token].into(), Merged { rank, token: token as u32 })
        };
        let rules = Rules::Tokens(scores.iter().enumerate().map(merged).collect());
        let prefix = if flag(self.metadata, ADD_SPACE, true) { Prefix::Each } else { Prefix::Never };
        self.characters(rules, Vec::new(), prefix, true)
    }

    /// Gemma 4: merges over the characters of a line, spaces marked as SentencePiece does.
    fn gemma4(&self) -> Result<Tokenizer, TokensError> {
        self.characters(self.pairs()?, vec![Splitter::new(LINES)?], Prefix::Never, true)
    }

    fn characters(
        &self,
        rules: Rules,
        splitters: Vec<Splitter>,
        prefix: Prefix,
        begins: bool,
    ) -> Result<Tokenizer, TokensError> {
        let alphabet = Alphabet::Characters(single_characters(self.ids.iter().map(|(token, id)| (*token, *id))));
        let merger = Merger { alphabet, rules, whole: FxHashSet::default(), unknown: Unknown::Bytes };
        Ok(Tokenizer {
            special: self.special()?,
            spaces: Spaces { marked: true, prefix, once: false },
            compose: false,
            splitters,
            merger,
            around: self.around(begins),
            longest: self.longest(str::len),
        })
    }

    fn pairs(&self) -> Result<Rules, TokensError> {
        let merges = array(self.metadata, MERGES, MERGES_MAX)?;
        let mut pairs = FxHashMap::with_capacity_and_hasher(merges.len(), rustc_hash::FxBuildHasher);
        for (rank, merge) in merges.iter().enumerate() {
            let merge = merge.as_str().ok_or(TokensError::Missing(MERGES))?;
            // The first character may be a space itself.
            let first = merge.chars().next().map_or(0, char::len_utf8);
            let Some(space) = merge[first..].find(' ') else {
                return Err(TokensError::Invalid(format!("merge {rank} has no two parts")));
            };
            let (left, right) = (&merge[..first + space], &merge[first + space + 1..]);
            add_pair(&mut pairs, rank as u32, left, right, |token| self.ids.get(token).copied());
        }
        Ok(Rules::Pairs(pairs))
    }

    fn special(&self) -> Result<Option<Specials>, TokensError> {
        let special = |(token, kind): (&&'m str, &u64)| {
            (SPECIAL_TYPES.contains(kind) && !token.is_empty()).then(|| (*token, Trim::default()))
        };
        Specials::new(self.tokens.iter().zip(&self.types).filter_map(special).collect())
    }

    fn normal(&self) -> impl Iterator<Item = (u32, &'m str)> {
        let typed = self.tokens.iter().zip(&self.types).enumerate();
        typed.filter(|(_, (_, kind))| **kind == NORMAL_TYPE).map(|(id, (token, _))| (id as u32, *token))
    }

    fn around(&self, begins: bool) -> u32 {
        u32::from(flag(self.metadata, ADD_BEGIN, begins)) + u32::from(flag(self.metadata, ADD_END, false))
    }

    fn longest(&self, length: impl Fn(&str) -> usize) -> usize {
        self.tokens.iter().map(|token| length(token)).max().unwrap_or(1)
    }
}

impl Merger {
    /// Notes which of these tokens stay whole: those that merging would not lead to.
    pub(crate) fn keep_whole(&mut self, tokens: impl Iterator<Item = String>) {
        let mut scratch = crate::merge::Scratch::default();
        let whole = tokens.filter(|token| !token.is_empty() && self.count(token, &mut scratch) != 1);
        self.whole = whole.map(String::into_boxed_str).collect();
    }
}

/// Adds the merge of two tokens; one that leads to no token is left out.
pub(crate) fn add_pair(
    pairs: &mut FxHashMap<u64, Merged>,
    rank: u32,
    left: &str,
    right: &str,
    id: impl Fn(&str) -> Option<u32>,
) {
    if let (Some(left_id), Some(right_id), Some(token)) = (id(left), id(right), id(&format!("{left}{right}"))) {
        pairs.entry(pair(left_id, right_id)).or_insert(Merged { rank, token });
    }
}

/// The tokens of one character.
pub(crate) fn single_characters<'t>(tokens: impl Iterator<Item = (&'t str, u32)>) -> FxHashMap<char, u32> {
    let single = |(token, id): (&str, u32)| {
        let mut characters = token.chars();
        characters.next().filter(|_| characters.as_str().is_empty()).map(|character| (character, id))
    };
    tokens.filter_map(single).collect()
}

/// A number that is the lower, the higher the score is.
fn descending(score: f32) -> u32 {
    let bits = score.to_bits();
    let ascending = if score.is_sign_negative() { !bits } else { bits | 1 << 31 };
    !ascending
}

fn array<'m>(metadata: &'m Map<String, Value>, key: &'static str, most: usize) -> Result<&'m [Value], TokensError> {
    let array = metadata.get(key).and_then(Value::as_array).ok_or(TokensError::Missing(key))?;
    if array.is_empty() || array.len() > most {
        return Err(TokensError::Invalid(format!("`{key}` has {} entries, at most {most} are read", array.len())));
    }
    Ok(array)
}

fn string<'m>(metadata: &'m Map<String, Value>, key: &str) -> Option<&'m str> {
    metadata.get(key).and_then(Value::as_str)
}

fn flag(metadata: &Map<String, Value>, key: &str, default: bool) -> bool {
    metadata.get(key).and_then(Value::as_bool).unwrap_or(default)
}

/// The mark is one character of the text that it stands for.
const _: () = assert!(SPACE_MARK.len_utf8() == 3);
