-- Keys that may use the gate. `hash` is HMAC-SHA-256 of the secret under the house's pepper, which lies in a file of its own.
CREATE TABLE keys (
    id           TEXT PRIMARY KEY NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    user         TEXT,
    role         TEXT NOT NULL,
    models       TEXT NOT NULL,            -- JSON array of patterns; empty: every model
    requests     INTEGER,                  -- own rate limit: requests per `per_ms`
    per_ms       INTEGER,
    prompt_chars INTEGER,
    created_ms   INTEGER NOT NULL,
    expires_ms   INTEGER,
    revoked_ms   INTEGER
) STRICT;

-- What the tokenised console address carries, hashed like a key.
CREATE TABLE console_tokens (
    hash       BLOB PRIMARY KEY NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;

-- Signed-in browsers; the cookie's value is only kept hashed.
CREATE TABLE sessions (
    hash       BLOB PRIMARY KEY NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;

-- Counts changes of `keys`, so that a running house sees what the command line did without reading them all.
CREATE TABLE changes (
    name    TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL
) STRICT;
INSERT INTO changes (name, version) VALUES ('keys', 1);
