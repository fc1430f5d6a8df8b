#!/usr/bin/env python3
"""Writes the vocabularies and token counts in `cases/` with Hugging Face's `tokenizers`, the reference for both.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.23.3 && venv/bin/python make_cases.py

Two small vocabularies are trained on the texts below: one over bytes, one over characters as SentencePiece has them. Each
is written as a `tokenizer.json` and in the words of GGUF metadata. The same version of the package gives the same files.
"""

import json
import pathlib
import random

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).parent / "cases"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end|>long"]
# A token that no merge leads to: families that keep whole pieces have it as one.
WHOLE = " unreachable"
MARK = "▁"

TEXTS = [
    "The house at the gate of your model: nobody passes unchecked, every token is counted, and the road is kept in repair.",
    "People run an open-weight model and want to take it to production. It takes days, it leaks, and when a user says it hangs, nobody knows why.",
    "We've seen that they'll say I'm right; you're WRONG, it's HE'S and she'd've gone. O'Neill's 'quoted' text's end.",
    "人们运行一个开放权重的模型,前面放着一个助手或聊天页面。要把它投入生产,需要把许多部件粘在一起。",
    "模型正忙,请在 12 秒后重试。提示词过长,最多 32768 个字符。上下文窗口:32,768 个词元。",
    "日本語のテキストも、カタカナとひらがなで書かれています。한국어 문장도 하나 있습니다.",
    "Привет, мир! Это проверка. Ελληνικά γράμματα, עברית, العربية، हिन्दी में पाठ, ภาษาไทย.",
    'fn main() {\n    let x: Vec<u32> = (0..10).map(|n| n * 2).collect();\n    println!("{x:?}");\n}\n',
    "def add(a, b):\n\treturn a + b  # sum\n\n\nclass Foo(object):\n    def __init__(self):\n        self.x = {'a': 1, 'b': [1, 2, 3]}\n",
    '{"role": "user", "content": "What is 1+1=?", "tools": [{"type": "function", "function": {"name": "get_weather"}}]}',
    "1 12 123 1234 12345 3.14159 1,000,000 0xFF 2026-01-27T10:00:00Z 192.168.0.1:8080 ½ ² ٣ 一二三",
    "emoji: 😀😃 👨‍👩‍👧‍👦 🇨🇳 ❤️ ✅ → ← ∀x∈ℝ: ⌈x⌉ … “quotes” ‘single’ — dash",
    "   leading, double  inside, triple   and trailing   ",
    "\n\n\n \n\t\n \t \r\n\r\n  x\r\n   y  \n",
    "tabs\t\tand\u00a0no-break\u3000ideographic\u2028line\u2029para\u200bzero",
    "snake_case camelCase PascalCase SCREAMING_CASE kebab-case iPhone15Pro McDonald's ABCdef XMLHttpRequest",
    "https://example.com/path?q=1&r=2#frag user@example.com C:\\Windows\\System32 /usr/local/bin $HOME ~/.ssh",
    "!!! ??? ... --- *** === >>> <<< ((( ))) [[[ ]]] {{{ }}} \\\\ // ## @@ $$ %% ^^ && || ~~ ``",
    "cafe\u0301 na\u00efve A\u030angstro\u0308m \u1100\u1161\u11a8 \ufb01 \u212b",
    "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n<|im_end|>long <|im_end|>lon <|im_end <|endoftext|>",
    "an unreachable word, unreachable, unreachables",
    "",
    " ",
    "  ",
    "\n",
    "a",
    "中",
    "😀",
    "\u0000\u0001\u007f",
    "\ufeffBOM",
    "e\u0301",
    "▁mark ▁▁",
    "ſ K Å 'ſ",
]


def random_texts(count):
    """Texts of characters that patterns tell apart, in all orders."""
    chance = random.Random(4)
    alphabet = list("  \n\t\r'sStTrReElLvVdDmM.,!-/_(aZéßŒ中文ひ1230½😀\u0301\u00a0\u3000ǅªא") + [
        "'ll",
        "'RE",
        "  ",
        "\r\n",
        "<|im_end|>",
        "the",
    ]
    return ["".join(chance.choice(alphabet) for _ in range(chance.randrange(1, 40))) for _ in range(count)]


ENGLISH = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
CASES = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%s"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%s"
)
SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
# The patterns that the models' own tokenizer.json have.
PATTERNS = {
    "qwen2": [ENGLISH + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + SPACES],
    "qwen35": [ENGLISH + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + SPACES],
    "llama-bpe": [ENGLISH + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + SPACES],
    "tekken": [CASES % ("", "") + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + SPACES],
    "gpt-4o": [CASES % (ENGLISH + "?", ENGLISH + "?") + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + SPACES],
    "deepseek-v3": [
        r"\p{N}{1,3}",
        r"[一-龥぀-ゟ゠-ヿ]+",
        r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
        + SPACES,
    ],
}


def pre_tokenizer(family):
    if family == "gpt-2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if family == "starcoder":
        return pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in PATTERNS[family]]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer("qwen2")
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1100, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator(TEXTS[:20] * 3, trainer)
    tokenizer.add_special_tokens(SPECIAL)
    file = json.loads(tokenizer.to_str())
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(WHOLE)[0][0]
    file["model"]["vocab"][whole] = len(file["model"]["vocab"]) + len(SPECIAL)
    return file


def sentencepiece():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    control = ["<unk>", "<s>", "</s>"]
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=control + byte_tokens, limit_alphabet=300, show_progress=False
    )
    words = [MARK + word for text in TEXTS[:10] for word in text.split(" ")]
    tokenizer.train_from_iterator(words * 3, trainer)
    vocabulary = tokenizer.get_vocab()
    # SentencePiece knows scores and no merges: every pair whose sum is a token may join, the best score first. That is
    # how Hugging Face's own conversion of such models writes them down.
    scores = {token: 0.0 if id < 259 else -float(id - 259) for token, id in vocabulary.items()}
    merges = []
    for token, id in vocabulary.items():
        cuts = range(1, len(token)) if id >= 259 else []
        merges += [
            (scores[token], token[:cut], token[cut:])
            for cut in cuts
            if token[:cut] in vocabulary and token[cut:] in vocabulary
        ]
    merges.sort(key=lambda merge: (merge[0], len(merge[1]), len(merge[2])), reverse=True)
    file = json.loads(tokenizer.to_str())
    file["added_tokens"] = [token for token in file["added_tokens"] if token["content"] in control]
    file["model"]["merges"] = [[left, right] for _, left, right in merges]
    return file, scores


def tokens_by_id(file):
    vocabulary = dict(file["model"]["vocab"])
    vocabulary.update({token["content"]: token["id"] for token in file["added_tokens"]})
    tokens = sorted(vocabulary, key=vocabulary.get)
    assert [vocabulary[token] for token in tokens] == list(range(len(tokens)))
    return tokens


def as_text(merge):
    return merge if isinstance(merge, str) else " ".join(merge)


def counts(file, texts):
    tokenizer = Tokenizer.from_str(json.dumps(file))
    return [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]


def write(name, value):
    (OUT / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def main():
    OUT.mkdir(exist_ok=True)
    texts = TEXTS + random_texts(150)

    file = byte_level()
    tokens = tokens_by_id(file)
    write("bytes.tokenizer.json", file)
    write(
        "bytes.ggml.json",
        {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [3 if token in SPECIAL else 1 for token in tokens],
            "tokenizer.ggml.merges": [as_text(merge) for merge in file["model"]["merges"]],
        },
    )
    families = {}
    for family in ["qwen2", "qwen35", "llama-bpe", "gpt-2", "starcoder", "tekken", "gpt-4o", "deepseek-v3"]:
        cut = dict(file, model=dict(file["model"], ignore_merges=family in ("llama-bpe", "tekken")))
        cut["pre_tokenizer"] = json.loads(pre_tokenizer(family).__getstate__())
        families[family] = {
            "ignore_merges": cut["model"]["ignore_merges"],
            "pre_tokenizer": cut["pre_tokenizer"],
            "counts": counts(cut, texts),
            "composed": counts(dict(cut, normalizer={"type": "NFC"}), texts),
        }
    write("bytes.cases.json", {"texts": texts, "families": families})

    file, scores = sentencepiece()
    tokens = tokens_by_id(file)
    write("characters.tokenizer.json", file)
    kinds = {"<unk>": 2, "<s>": 3, "</s>": 3}
    write(
        "characters.ggml.json",
        {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": [scores[token] for token in tokens],
            "tokenizer.ggml.token_type": [kinds.get(token, 6 if id < 259 else 1) for id, token in enumerate(tokens)],
        },
    )
    metaspace = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "first", "split": False}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
    write(
        "characters.cases.json",
        {
            "texts": texts,
            "forms": [
                {"normalizer": file["normalizer"], "pre_tokenizer": None, "counts": counts(file, texts)},
                {"normalizer": replace, "pre_tokenizer": None, "counts": counts(dict(file, normalizer=replace), texts)},
                {
                    "normalizer": None,
                    "pre_tokenizer": metaspace,
                    "counts": counts(dict(file, normalizer=None, pre_tokenizer=metaspace), texts),
                },
            ],
        },
    )


if __name__ == "__main__":
    main()
