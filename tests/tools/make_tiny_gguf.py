#!/usr/bin/env python3
"""Writes a tiny language model that answers every prompt with a text of your choice.

    make_tiny_gguf.py tiny.gguf --reply 'Hello there.' --modelfile Modelfile
    ollama create tiny -f Modelfile

The file is a whole model in GGUF v3 (weights, byte-level tokenizer, chat template), about half a megabyte, that a real
Ollama or llama.cpp loads and runs on a CPU. Its answer passes through the real tokenizer, sampler and stream, so a test
can assert text, number of chunks, usage and finish reason. Nothing but the standard library is needed, and the same
arguments give the same bytes.

How it talks. All layers are zero, so the state after the last layer is the embedding of the last token alone. Every
token of the reply has a direction of its own there, and the output row of the token after it is that same direction:
the reply is a chain "this token, then that one". All other tokens share one axis, which points at the first token of
the chain. For that each piece of the reply has to be a token of its own; a word that comes again is joined with the one
after it.
"""

import argparse
import hashlib
import json
import random
import struct
import sys
from array import array

REPLY = "The capital of France is Paris. It lies on the river Seine and has about two million inhabitants."
END_OF_TEXT, TURN, END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# How strongly a token points at its successor. After the final norm this is a lead of about 20 in the logits, which no
# temperature up to 1 can turn.
PULL = 4.0
# Pairs that the tokenizer joins, so that a prompt has fewer tokens than bytes ("Ġ" is the space).
MERGES = (
    "Ġ t,h e,i n,r e,o n,Ġt he,e r,Ġ a,Ġ s,a t,o u,e n,Ġ w,Ġ c,i t,Ġ o,Ġ b,e s,a n,i s,in g,Ġ p,o r,Ġ f,Ġ m,an d,"
    "Ġ d,a l,u s,er s,s er,us er,l l,l o,he ll,hell o,Ġo f,Ġ in,Ġ is,Ġt o,s t,a s,as s"
).split(",")

# The chat template of Ollama (Go). Naming .Tools makes Ollama list the capability "tools"; from the text in front of the
# calls it learns how the model writes one.
TEMPLATE = """\
{{- if or .System .Tools }}<|im_start|>system
{{ .System }}
{{- range .Tools }}
<tool>{{ .Function }}</tool>
{{- end }}<|im_end|>
{{ end }}
{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}
{{- if .ToolCalls }}<tool_call>
{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
{{ end }}</tool_call>{{ end }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
# The same for llama.cpp, which reads it from the model (Jinja).
JINJA = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def visible_bytes():
    """The table of byte-level tokenizers: each of the 256 bytes as one printable character."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(hidden)) for byte in range(256)]


VISIBLE = visible_bytes()


def as_token(data):
    return "".join(VISIBLE[byte] for byte in data)


def cut(reply, chunk_bytes):
    """Cuts the reply into pieces that all differ: at spaces, or every `chunk_bytes` bytes."""
    data = reply.encode()
    if chunk_bytes:
        atoms = [data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]
    else:
        words = data.split(b" ")
        atoms = [words[0], *(b" " + word for word in words[1:])]
    # A prompt ends in a line feed: a piece of that form would start the chain in its middle.
    taken, pieces, piece = {b"\n"}, [], b""
    for atom in atoms:
        piece += atom
        if piece not in taken:
            taken.add(piece)
            pieces.append(piece)
            piece = b""
    while piece:  # the end says something again: take in what comes before it
        piece = pieces.pop() + piece
        if piece not in taken:
            pieces.append(piece)
            piece = b""
    return pieces


class Vocabulary:
    """The tokens of the model: bytes, joined pairs, the pieces of the reply, control tokens."""

    NORMAL, CONTROL = 1, 3

    def __init__(self, pieces):
        self.texts, self.types, self.index = [], [], {}
        for byte in range(256):
            self.add(VISIBLE[byte])
        for pair in MERGES:
            self.add(pair.replace(" ", ""))
        self.end_of_text, _, self.end_of_turn = (
            self.add(text, self.CONTROL) for text in (END_OF_TEXT, TURN, END_OF_TURN)
        )
        self.chain = [self.add(as_token(piece)) for piece in pieces]
        while len(self.texts) % 32:
            self.add(f"<|unused{len(self.texts)}|>", self.CONTROL)

    def add(self, text, kind=NORMAL):
        if text not in self.index:
            self.index[text] = len(self.texts)
            self.texts.append(text)
            self.types.append(kind)
        return self.index[text]


def weights(vocabulary, width, loop, seed):
    """The embedding and the output matrix, row after row, that hold the chain."""
    chance = random.Random(seed)
    size = len(vocabulary.texts)
    embedding, output = array("f", bytes(4 * size * width)), array("f", bytes(4 * size * width))
    for token in range(size):
        embedding[token * width] = 1.0  # the axis of all that is not in the reply
    chain = vocabulary.chain
    output[chain[0] * width] = PULL
    successors = [*chain[1:], chain[0] if loop else vocabulary.end_of_turn]
    share = (width - 1) ** -0.5
    for token, successor in zip(chain, successors):
        embedding[token * width] = 0.0
        for axis in range(1, width):
            part = share if chance.random() < 0.5 else -share
            embedding[token * width + axis] = part
            output[successor * width + axis] += PULL * part
    return embedding, output


class Gguf:
    """Collects metadata and tensors, and writes them as a GGUF file of version 3 (little endian, 32-byte alignment)."""

    U32, I32, F32, BOOL, STRING, ARRAY, ALIGNMENT = 4, 5, 6, 7, 8, 9, 32

    def __init__(self):
        self.metadata, self.tensors = [], []

    @staticmethod
    def string(text):
        data = text.encode()
        return struct.pack("<Q", len(data)) + data

    def value(self, value):
        """The type number and the bytes of a value; Python's type decides."""
        match value:
            case bool():
                return self.BOOL, struct.pack("<?", value)
            case int():
                return self.U32, struct.pack("<I", value)
            case float():
                return self.F32, struct.pack("<f", value)
            case str():
                return self.STRING, self.string(value)
            case list() if all(isinstance(item, int) for item in value):
                return self.ARRAY, struct.pack(f"<IQ{len(value)}i", self.I32, len(value), *value)  # llama.cpp wants a sign
            case list():
                items = [self.value(item) for item in value]
                return self.ARRAY, struct.pack("<IQ", items[0][0], len(items)) + b"".join(data for _, data in items)
        raise TypeError(f"no GGUF type for {value!r}")

    def put(self, key, value):
        kind, data = self.value(value)
        self.metadata.append(self.string(key) + struct.pack("<I", kind) + data)

    def tensor(self, name, shape, data):
        """Adds 32-bit floats; `shape` has the fastest running dimension first, as the format wants it."""
        self.tensors.append((name, shape, bytes(data)))

    def __bytes__(self):
        head, body = [], bytearray()
        for name, shape, data in self.tensors:
            dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
            head.append(self.string(name) + dimensions + struct.pack("<IQ", 0, len(body)))
            body += data + bytes(-len(data) % self.ALIGNMENT)
        start = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.metadata))
        start += b"".join(self.metadata) + b"".join(head)
        return start + bytes(-len(start) % self.ALIGNMENT) + bytes(body)


def model(pieces, arguments):
    """The whole model as a GGUF of the architecture `llama`."""
    width, heads = arguments.width, 2
    feed = 2 * width
    vocabulary = Vocabulary(pieces)
    embedding, output = weights(vocabulary, width, arguments.loop, arguments.seed)
    size = len(vocabulary.texts)

    gguf = Gguf()
    for key, value in {
        "general.architecture": "llama",
        "general.name": "tiny",
        "general.file_type": 0,  # all 32-bit floats
        "llama.context_length": arguments.context,
        "llama.embedding_length": width,
        "llama.block_count": arguments.layers,
        "llama.feed_forward_length": feed,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": heads,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": width // heads,
        "llama.vocab_size": size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": vocabulary.texts,
        "tokenizer.ggml.token_type": vocabulary.types,
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": vocabulary.end_of_text,
        "tokenizer.ggml.eos_token_id": vocabulary.end_of_turn,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": JINJA,
    }.items():
        gguf.put(key, value)
    if arguments.pooling:
        gguf.put("llama.pooling_type", 1)  # the mean

    ones = array("f", [1.0] * width)
    gguf.tensor("token_embd.weight", (width, size), embedding)
    gguf.tensor("output_norm.weight", (width,), ones)
    gguf.tensor("output.weight", (width, size), output)
    for layer in range(arguments.layers):
        gguf.tensor(f"blk.{layer}.attn_norm.weight", (width,), ones)
        gguf.tensor(f"blk.{layer}.ffn_norm.weight", (width,), ones)
        for part, shape in {
            "attn_q": (width, width),
            "attn_k": (width, width),
            "attn_v": (width, width),
            "attn_output": (width, width),
            "ffn_gate": (width, feed),
            "ffn_up": (width, feed),
            "ffn_down": (feed, width),
        }.items():
            gguf.tensor(f"blk.{layer}.{part}.weight", shape, bytes(4 * shape[0] * shape[1]))
    return bytes(gguf), size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="the file to write")
    parser.add_argument("--reply", default=REPLY, help="what the model says")
    parser.add_argument("--loop", action="store_true", help="say it again and again: for limits and cancelling")
    parser.add_argument("--chunk-bytes", type=int, default=0, help="cut every N bytes, also inside a character")
    parser.add_argument("--layers", type=int, default=1, help="more of them make each token slower")
    parser.add_argument("--width", type=int, default=64, help="length of an embedding, a multiple of 64")
    parser.add_argument("--context", type=int, default=32768, help="tokens that the model can hold")
    parser.add_argument("--pooling", action="store_true", help="one embedding for a text; Ollama then chats no more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--modelfile", help="write an Ollama Modelfile for it here, too")
    arguments = parser.parse_args()
    if not arguments.reply.strip():
        parser.error("--reply: the model has to say something")

    pieces = cut(arguments.reply, arguments.chunk_bytes)
    data, size = model(pieces, arguments)
    with open(arguments.out, "wb") as file:
        file.write(data)
    if arguments.modelfile:
        with open(arguments.modelfile, "w", encoding="utf-8") as file:
            # One thread: several of them wait for each other at every operator, and on a busy machine a token then
            # takes 0.3 s instead of 0.2 ms.
            file.write(
                f'FROM {arguments.out}\nTEMPLATE """{TEMPLATE}"""\n'
                f'PARAMETER stop "{END_OF_TURN}"\nPARAMETER num_thread 1\n'
            )
    facts = {
        "file": arguments.out,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "vocabulary": size,
        "reply": arguments.reply,
        "reply_tokens": len(pieces),
        "loop": arguments.loop,
    }
    json.dump(facts, sys.stdout, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
