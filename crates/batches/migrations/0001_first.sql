CREATE TABLE files (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    purpose TEXT NOT NULL,
    name TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX files_of ON files (owner, created_ms);
CREATE INDEX files_end ON files (expires_ms);

CREATE TABLE batches (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX batches_of ON batches (owner, created_ms);

-- Answers to the lines of batches that are not over: each line has one.
CREATE TABLE answers (
    number INTEGER PRIMARY KEY,
    batch TEXT NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    line INTEGER NOT NULL,
    is_ok INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX answers_of ON answers (batch, line);

CREATE TABLE later (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    doc TEXT NOT NULL,
    request BLOB NOT NULL,
    answer BLOB
) STRICT;
CREATE INDEX later_of ON later (owner, is_open);
CREATE INDEX later_end ON later (expires_ms);
