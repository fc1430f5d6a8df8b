-- What a key may use besides requests in a time, whose requests go first, and from where it may be used.
ALTER TABLE keys ADD COLUMN tokens           INTEGER;                            -- own token limit: tokens per `tokens_per_ms`
ALTER TABLE keys ADD COLUMN tokens_per_ms    INTEGER;
ALTER TABLE keys ADD COLUMN concurrent       INTEGER;                            -- requests at once
ALTER TABLE keys ADD COLUMN tokens_per_day   INTEGER;                            -- budgets by the UTC calendar
ALTER TABLE keys ADD COLUMN tokens_per_month INTEGER;
ALTER TABLE keys ADD COLUMN priority         TEXT NOT NULL DEFAULT 'normal';     -- low, normal, high
ALTER TABLE keys ADD COLUMN weight           INTEGER NOT NULL DEFAULT 1;         -- share of a busy model server, 1 to 100
ALTER TABLE keys ADD COLUMN allow            TEXT NOT NULL DEFAULT '[]';         -- JSON array of networks; empty: everywhere

-- Secrets that were replaced by rotation and still open the door until a moment.
CREATE TABLE old_secrets (
    hash     BLOB PRIMARY KEY NOT NULL,
    key_id   TEXT NOT NULL REFERENCES keys (id),
    until_ms INTEGER NOT NULL
) STRICT;

-- Ids that were revoked and are no key of this table: keys of the configuration file, and keys revoked on another node.
CREATE TABLE revoked_ids (
    id         TEXT PRIMARY KEY NOT NULL,
    revoked_ms INTEGER NOT NULL
) STRICT;

-- What was used of the limits up to the journal line `seq`; one row at most.
CREATE TABLE limits (
    one      INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    seq      INTEGER NOT NULL,
    snapshot BLOB NOT NULL
) STRICT;
