"""Records of a gateway, the same ones on every run: 328 bytes a line, one day of them."""

import datetime
import hashlib
import json
import random

SEED = 20_260_127
BEGIN = datetime.datetime(2026, 1, 27, tzinfo=datetime.UTC)
DAY_MS = 86_400_000
SERVICE = "clawdbot-qwen3"
MODELS = ["qwen3:32b", "qwen3:4b", "llama3.3:70b", "gpt-oss:20b", "deepseek-r1:14b"]
PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/api/chat", "/v1/messages"]
# What a line says: of most requests little, of some what went wrong.
CALM = ["request done", "request done", "request done", "request done after some waiting"]
TROUBLE = [
    "upstream did not answer in time, gave up",
    "model is loading, request waited for it",
    "context too long, prompt was refused",
    "client went away before the answer ended",
    "CUDA out of memory while the prompt was read",
]
USERS = 5_000


def stamp(ms):
    return (BEGIN + datetime.timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def lines(count):
    """So many lines of JSON, as bytes with their line ends, in the order of their times."""
    chance = random.Random(SEED)
    pick, number, gauss = chance.choice, chance.random, chance.gauss
    minute, prefix = None, ""
    for place in range(count):
        ms = place * DAY_MS // count
        if ms // 60_000 != minute:
            minute = ms // 60_000
            prefix = stamp(ms)[:17]
        model = MODELS[int(number() ** 2 * len(MODELS))]
        # A few users ask for most.
        user = int(number() ** 3 * USERS)
        went_wrong = number() < 0.04
        status = pick((400, 429, 500, 502, 503, 504)) if went_wrong else 200
        duration = abs(gauss(900, 700)) + 20 + (4000 * number() if went_wrong else 0)
        tokens = (int(number() * 1800) + 8, 0 if went_wrong else int(number() * 900) + 1)
        request_id = f"{chance.getrandbits(64):016x}"
        yield (
            f'{{"ts":"{prefix}{ms % 60_000 // 1000:02d}.{ms % 1000:03d}Z","level":"{"error" if went_wrong else "info"}",'
            f'"caller":"gateway/handler.go:{123 if not went_wrong else 188}",'
            f'"msg":"{pick(TROUBLE if went_wrong else CALM)}","service":"{SERVICE}","model":"{model}","method":"POST",'
            f'"path":"{PATHS[int(number() ** 3 * len(PATHS))]}","status":{status},"duration_ms":{duration:.1f},'
            f'"input_tokens":{tokens[0]},"output_tokens":{tokens[1]},"user_id":"user-{user:04d}",'
            f'"request_id":"{request_id}"}}\n'
        ).encode()


def write(path, count):
    """Writes them into a file, and gives its bytes."""
    with path.open("wb", buffering=1 << 20) as file:
        file.writelines(lines(count))
    return path.stat().st_size


def document(line, seq, file):
    """What the index holds of a line that came by the source `gateway`: asked of a house, and compared with it."""
    own = json.loads(line)
    made = {
        "@timestamp": own["ts"],
        "level": own["level"],
        "kind": "log",
        "msg": own["msg"],
        "source": "gateway",
        "file": str(file),
        "caller": own["caller"],
        "service_name": own["service"],
        "model_name": own["model"],
        "method": own["method"],
        "path": own["path"],
        "http_status": own["status"],
        "duration_ms": own["duration_ms"],
        "input_tokens": own["input_tokens"],
        "output_tokens": own["output_tokens"],
        "user_id": own["user_id"],
        "request_id": own["request_id"],
        "seq": seq,
    }
    if own["input_tokens"] > 0:
        # Half away from zero, in whole numbers.
        asked, given = own["input_tokens"], own["output_tokens"]
        made["token_efficiency"] = (given * 200 + asked) // (2 * asked) / 100
    tags = [
        name
        for name, holds in [("slow_request", own["duration_ms"] > 3000), ("error_request", not 200 <= own["status"] < 300)]
        if holds
    ]
    return made | ({"tags": tags} if tags else {})


def write_journal(path, count):
    """The same lines as the journal has them after a source of files: for indexing without the rest of the house."""
    before = "0" * 32
    with path.open("wb", buffering=1 << 20) as file:
        for seq, line in enumerate(lines(count), 1):
            own = json.loads(line)
            record = {
                "ts": stamp(seq // 100),
                "level": own.pop("level"),
                "kind": "log",
                "msg": own.pop("msg"),
                "caller": "collect/file",
                "service": SERVICE,
                "source": "gateway",
                "time": own.pop("ts"),
                "file": str(path),
                "file_mark": [64512, 1835020, seq * 328, seq],
                "own_caller": own.pop("caller"),
                "own_service": own.pop("service"),
                **own,
                "seq": seq,
                "prev": before,
            }
            text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
            before = hashlib.sha256(text).hexdigest()[:32]
            file.write(text + b"\n")
