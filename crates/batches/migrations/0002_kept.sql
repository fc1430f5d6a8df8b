-- Whose they are besides the key's: what is kept of a user can be erased.
ALTER TABLE files ADD COLUMN user TEXT;
UPDATE files SET user = (SELECT json_extract(doc, '$.user') FROM batches WHERE batches.owner = files.owner LIMIT 1);

-- Bytes of a batch's own hold on its input, which stay when the file is deleted.
ALTER TABLE batches ADD COLUMN input_bytes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX batches_open ON batches (owner) WHERE is_open = 1;
CREATE INDEX later_open ON later (owner) WHERE is_open = 1;

-- How often servers have failed at lines that have no answer yet.
CREATE TABLE failures (
    batch TEXT NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    line INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (batch, line)
) STRICT;

-- Erasures that no record tells of yet.
CREATE TABLE erasures (
    number INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    files INTEGER NOT NULL,
    batches INTEGER NOT NULL,
    later INTEGER NOT NULL,
    erased_ms INTEGER NOT NULL
) STRICT;
