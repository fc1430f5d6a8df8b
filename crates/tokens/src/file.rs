//! Reads a vocabulary from a `tokenizer.json`, the file that Hugging Face's `tokenizers` writes.
//!
//! Read is what the open-weight chat models have: BPE over bytes (Qwen, Llama 3, DeepSeek, gpt-oss) or over characters
//! with SentencePiece's marks (Llama 2, Mistral, Gemma). A part that is not understood is an error and never skipped,
//! because the count would be wrong in silence.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::TokensError;
use crate::families::GPT2;
use crate::ggml::{add_pair, single_characters};
use crate::merge::{Alphabet, Merger, Rules, Unknown};
use crate::split::Splitter;
use crate::tokenizer::{MERGES_MAX, Prefix, SPACE_MARK, Spaces, Specials, TOKENS_MAX, Tokenizer, Trim};
use crate::visible;

/// The largest `tokenizer.json` that is read, in bytes; Gemma's has 33 MB.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

impl Tokenizer {
    /// Reads a `tokenizer.json`. Blocks on the disk and takes up to a second: call it off the runtime.
    ///
    /// # Errors
    /// A file that cannot be read or is too large, is no JSON, or names a part that would not be counted exactly.
    pub fn from_file(path: &Path) -> Result<Self, TokensError> {
        let failed = |source| TokensError::Read { path: path.to_owned(), source };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(TokensError::TooLarge { path: path.to_owned(), bytes });
        }
        let mut text = String::new();
        // The file may grow while it is read.
        file.by_ref().take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        Self::from_json(&text)
    }

    /// Reads the text of a `tokenizer.json`.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn from_json(text: &str) -> Result<Self, TokensError> {
        let file: File<'_> = serde_json::from_str(text)?;
        if file.model.kind != "BPE" {
            return Err(TokensError::unsupported("model.type", file.model.kind));
        }
        let mut steps = Steps::default();
        file.normalizer.iter().try_for_each(|value| steps.normalize(value))?;
        file.pre_tokenizer.iter().try_for_each(|value| steps.cut(value))?;

        let vocabulary = read_vocabulary(&file.model)?;
        let id = |token: &str| vocabulary.get(token).copied();
        let mut merger = Merger {
            alphabet: alphabet(steps.bytes, &vocabulary),
            rules: rules(&file.model, id)?,
            whole: FxHashSet::default(),
            unknown: file.model.unknown(),
        };
        if file.model.ignore_merges {
            let added: FxHashSet<_> = file.added_tokens.iter().map(|token| token.content.as_ref()).collect();
            let tokens = vocabulary.keys().filter(|token| !added.contains(token.as_ref()));
            let text = |token: &Cow<'_, str>| if steps.bytes { visible::text(token) } else { Some(token.to_string()) };
            merger.keep_whole(tokens.filter_map(text));
        }
        let longest = vocabulary.keys().map(|token| if steps.bytes { token.chars().count() } else { token.len() });
        let longest = longest.chain(file.added_tokens.iter().map(|token| token.content.len())).max();
        Ok(Self {
            special: special(&file.added_tokens)?,
            spaces: steps.spaces,
            compose: steps.compose,
            splitters: steps.splitters,
            merger,
            around: file.post_processor.as_ref().map_or(0, around),
            longest: longest.unwrap_or(1),
        })
    }
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow, default)]
    added_tokens: Vec<AddedToken<'a>>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    #[serde(borrow)]
    model: Model<'a>,
}

#[derive(Deserialize)]
struct AddedToken<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    /// Of a form of its own in other kinds of models.
    #[serde(borrow)]
    vocab: &'a RawValue,
    #[serde(borrow)]
    merges: Option<&'a RawValue>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
}

impl Model<'_> {
    fn unknown(&self) -> Unknown {
        match (self.byte_fallback, &self.unk_token, self.fuse_unk) {
            (true, _, _) => Unknown::Bytes,
            (false, None, _) => Unknown::Dropped,
            (false, Some(_), true) => Unknown::Fused,
            (false, Some(_), false) => Unknown::One,
        }
    }
}

/// A merge in one of its two spellings: `"a b"` or `["a", "b"]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Pair([String; 2]),
}

type Vocabulary<'a> = FxHashMap<Cow<'a, str>, u32>;

fn read_vocabulary<'a>(model: &Model<'a>) -> Result<Vocabulary<'a>, TokensError> {
    let affixes = [&model.continuing_subword_prefix, &model.end_of_word_suffix];
    if affixes.into_iter().flatten().any(|affix| !affix.is_empty()) {
        return Err(TokensError::unsupported("model", "BPE with marks inside words"));
    }
    let vocabulary: Vocabulary<'a> = serde_json::from_str(model.vocab.get())?;
    if vocabulary.is_empty() || vocabulary.len() > TOKENS_MAX {
        let found = vocabulary.len();
        return Err(TokensError::Invalid(format!("`model.vocab` has {found} entries, at most {TOKENS_MAX} are read")));
    }
    Ok(vocabulary)
}

fn rules(model: &Model<'_>, id: impl Fn(&str) -> Option<u32>) -> Result<Rules, TokensError> {
    let merges = model.merges.ok_or(TokensError::Missing("model.merges"))?;
    let merges: Vec<Merge<'_>> = serde_json::from_str(merges.get())?;
    if merges.len() > MERGES_MAX {
        let found = merges.len();
        return Err(TokensError::Invalid(format!("`model.merges` has {found} entries, at most {MERGES_MAX} are read")));
    }
    let mut pairs = FxHashMap::with_capacity_and_hasher(merges.len(), rustc_hash::FxBuildHasher);
    for (rank, merge) in merges.iter().enumerate() {
        let (left, right) = match merge {
            Merge::Text(text) => {
                text.split_once(' ').ok_or_else(|| TokensError::Invalid(format!("merge {rank} has no two parts")))?
            }
            Merge::Pair([left, right]) => (left.as_str(), right.as_str()),
        };
        add_pair(&mut pairs, rank as u32, left, right, &id);
    }
    Ok(Rules::Pairs(pairs))
}

fn alphabet(bytes: bool, vocabulary: &Vocabulary<'_>) -> Alphabet {
    let characters = single_characters(vocabulary.iter().map(|(token, id)| (token.as_ref(), *id)));
    if !bytes {
        return Alphabet::Characters(characters);
    }
    let mut tokens = Alphabet::no_bytes();
    for (token, character) in tokens.iter_mut().zip(visible::TABLE) {
        if let Some(id) = characters.get(&character) {
            *token = *id;
        }
    }
    Alphabet::Bytes(tokens)
}

fn special(added: &[AddedToken<'_>]) -> Result<Option<Specials>, TokensError> {
    if let Some(word) = added.iter().find(|token| token.single_word) {
        return Err(TokensError::unsupported("added_tokens.single_word", word.content.as_ref()));
    }
    let present = added.iter().filter(|token| !token.content.is_empty());
    let special = |token: &'_ AddedToken<'_>| Trim { left: token.lstrip, right: token.rstrip };
    Specials::new(present.map(|token| (token.content.as_ref(), special(token))).collect())
}

/// Special tokens that the post-processor puts around one text.
fn around(processor: &Value) -> u32 {
    match processor["type"].as_str() {
        Some("TemplateProcessing") => {
            let parts = processor["single"].as_array().map_or(&[][..], Vec::as_slice);
            parts.iter().filter(|part| part.get("SpecialToken").is_some()).count() as u32
        }
        Some("Sequence") => processor["processors"].as_array().into_iter().flatten().map(around).sum(),
        Some("RobertaProcessing" | "BertProcessing") => 2,
        _ => 0,
    }
}

/// What happens to a text before it is merged.
#[derive(Default)]
struct Steps {
    compose: bool,
    spaces: Spaces,
    splitters: Vec<Splitter>,
    /// Whether the vocabulary writes bytes as characters.
    bytes: bool,
}

impl Steps {
    fn normalize(&mut self, step: &Value) -> Result<(), TokensError> {
        let text = |key: &str| step[key].as_str().unwrap_or_default();
        let mark = SPACE_MARK.encode_utf8(&mut [0; 4]).to_owned();
        match text("type") {
            "Sequence" => {
                let steps = step["normalizers"].as_array().ok_or(TokensError::Missing("normalizer.normalizers"))?;
                return steps.iter().try_for_each(|step| self.normalize(step));
            }
            "NFC" if !self.spaces.marked => self.compose = true,
            "Prepend" if text("prepend") == mark && !self.spaces.marked => self.spaces.prefix = Prefix::Each,
            "Replace" if step["pattern"]["String"] == " " && text("content") == mark => self.spaces.marked = true,
            other => return Err(TokensError::unsupported("normalizer", other)),
        }
        Ok(())
    }

    fn cut(&mut self, step: &Value) -> Result<(), TokensError> {
        let is = |key: &str| step[key].as_bool().unwrap_or(false);
        let kind = step["type"].as_str().unwrap_or_default();
        let refused = |what: &str| Err(TokensError::unsupported("pre_tokenizer", format!("{kind} {what}")));
        match kind {
            "Sequence" => {
                let steps = step["pretokenizers"].as_array().ok_or(TokensError::Missing("pretokenizers"))?;
                return steps.iter().try_for_each(|step| self.cut(step));
            }
            "ByteLevel" if self.bytes => return refused("twice"),
            "ByteLevel" if is("add_prefix_space") => return refused("with add_prefix_space"),
            "ByteLevel" => {
                self.bytes = true;
                // Absent means true, as in the files of before this field.
                if step["use_regex"].as_bool().unwrap_or(true) {
                    self.splitters.push(Splitter::new(GPT2)?);
                }
            }
            // After it the text is in the alphabet of bytes, and another cut would see that.
            _ if self.bytes => return refused("behind ByteLevel"),
            "Digits" => self.splitters.push(Splitter::new(if is("individual_digits") { r"\p{N}" } else { r"\p{N}+" })?),
            "Split" => return self.split(step),
            "Metaspace" => return self.metaspace(step),
            _ => return refused(""),
        }
        Ok(())
    }

    fn split(&mut self, step: &Value) -> Result<(), TokensError> {
        let pattern = &step["pattern"];
        let inverted = step["invert"].as_bool().unwrap_or(false);
        let behaviour = step["behavior"].as_str().unwrap_or_default();
        // Gemma's file cuts at spaces when none are left.
        if pattern["String"] == " " && self.spaces.marked {
            return Ok(());
        }
        let (Some(pattern), "Isolated", false) = (pattern["Regex"].as_str(), behaviour, inverted) else {
            return Err(TokensError::unsupported("pre_tokenizer", format!("Split {behaviour} {pattern}")));
        };
        self.splitters.push(Splitter::new(pattern)?);
        Ok(())
    }

    fn metaspace(&mut self, step: &Value) -> Result<(), TokensError> {
        let marked = step["replacement"].as_str().is_some_and(|mark| mark.chars().eq([SPACE_MARK]));
        let whole = step["split"].as_bool() == Some(false);
        if !marked || !whole || self.spaces.marked {
            return Err(TokensError::unsupported("pre_tokenizer", "Metaspace that splits"));
        }
        let prefix = match step["prepend_scheme"].as_str() {
            Some("first") => Prefix::First,
            Some("never") => Prefix::Never,
            _ => Prefix::Each,
        };
        self.spaces = Spaces { marked: true, prefix, once: true };
        Ok(())
    }
}
