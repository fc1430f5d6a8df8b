//! How each family of models cuts a text before it merges bytes: the names that GGUF files give it in
//! `tokenizer.ggml.pre`, with the patterns that llama.cpp has for them (`src/llama-vocab.cpp`).

use crate::error::TokensError;
use crate::split::Splitter;

/// What a family's name says beside its vocabulary.
pub(crate) struct Family {
    pub(crate) patterns: &'static [&'static str],
    /// Whether a piece that is a token as a whole is not taken apart (`ignore_merges`).
    pub(crate) whole: bool,
    /// Whether a prompt begins with a token of its own unless the file says otherwise.
    pub(crate) begins: bool,
}

impl Family {
    /// The family of this name. An unknown one is an error: another cut would count wrongly, and nobody would notice.
    pub(crate) fn named(name: &str) -> Result<Self, TokensError> {
        let (patterns, whole, begins): (&'static [&'static str], bool, bool) = match name {
            "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" => {
                (&[LLAMA3], true, true)
            }
            "glm4" | "glm5" => (&[LLAMA3], name == "glm5", false),
            "chatglm-bpe" | "dbrx" | "smaug-bpe" => (&[LLAMA3], false, false),
            "qwen2" | "deepseek-r1-qwen" | "kormo" | "megrez" | "stablelm2" | "hunyuan" | "grok-2" => {
                (&[QWEN2], false, false)
            }
            "qwen35" => (&[QWEN35], false, false),
            "gpt-2" | "phi-2" | "gigachat" | "mellum" | "a.x-4.0" | "mpt" | "olmo" | "jais" | "trillion"
            | "granite-docling" | "exaone4" => (&[GPT2], false, false),
            "starcoder" | "refact" | "command-r" | "smollm" | "codeshell" | "exaone" | "minerva-7b" => {
                (&[r"\p{N}", GPT2], false, false)
            }
            "falcon" => (&[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"], false, false),
            "deepseek-llm" => (DEEPSEEK_LLM, false, false),
            "deepseek-coder" => (DEEPSEEK_CODER, false, false),
            "deepseek-v3" | "hunyuan-dense" => (DEEPSEEK3, false, false),
            "tekken" => (&[TEKKEN], true, true),
            "gpt-4o" | "llama4" | "minimax-m2" => (&[GPT4O], false, false),
            "seed-coder" => (&[SEED_CODER], false, false),
            "default" => (DEFAULT, false, false),
            _ => return Err(TokensError::unsupported("tokenizer.ggml.pre", name)),
        };
        Ok(Self { patterns, whole, begins })
    }

    pub(crate) fn splitters(&self) -> Result<Vec<Splitter>, TokensError> {
        self.patterns.iter().map(|pattern| Splitter::new(pattern)).collect()
    }
}

/// GPT-2's cut, which byte-level tokenizers have when their file names no other.
pub(crate) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The cut of Gemma 4, which merges characters in place of bytes and takes a whole line as one piece.
pub(crate) const LINES: &str = r"[^\n]+|[\n]+";

const LLAMA3: &str = concat!(
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const QWEN2: &str = concat!(
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const QWEN35: &str = concat!(
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}",
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const SEED_CODER: &str = concat!(
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}",
    r"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
);
// The next two are as the models' own tokenizer.json has them; llama.cpp writes them with look-aheads.
const TEKKEN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const GPT4O: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
// Letters with an upper and a lower case, as Unicode had them when the model was made.
const DEEPSEEK_LLM: &[&str] = &[
    r"[\r\n]",
    concat!(
        r"\s?[",
        r"A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373",
        r"\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481",
        r"\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B",
        r"\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B",
        r"\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB",
        r"\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128",
        r"\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4",
        r"\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF",
        r"\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\u{10400}-\u{1044F}\u{104B0}-\u{104D3}",
        r"\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}",
        r"]+"
    ),
    r"\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+",
    r"\s+$",
    r"[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
    r"\p{N}+",
];
const DEEPSEEK_CODER: &[&str] =
    &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+", r"\p{N}"];
const DEEPSEEK3: &[&str] = &[
    r"\p{N}{1,3}",
    r"[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
    concat!(
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
        r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
];
const DEFAULT: &[&str] = &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_understood() {
        for name in ["llama-bpe", "qwen2", "qwen35", "gpt-2", "starcoder", "falcon", "deepseek-llm", "deepseek-coder"] {
            Family::named(name).unwrap().splitters().unwrap();
        }
        for name in ["deepseek-v3", "tekken", "gpt-4o", "seed-coder", "glm4", "default"] {
            Family::named(name).unwrap().splitters().unwrap();
        }
        Splitter::new(LINES).unwrap();
    }

    #[test]
    fn an_unknown_family_is_no_guess() {
        assert!(Family::named("kimi-k2").is_err());
        assert!(Family::named("").is_err());
    }
}
