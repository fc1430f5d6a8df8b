-- Keys under which prompts and answers are sealed, one for each owner. Deleting one erases all that was kept of that owner.
CREATE TABLE content_keys (
    id         TEXT PRIMARY KEY NOT NULL,                            -- random; stands beside what it sealed
    owner      TEXT NOT NULL UNIQUE,                                 -- user:… or key:… or nobody
    key        BLOB NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

-- Erasures, until the journal has a record of each.
CREATE TABLE content_erasures (
    number     INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    owner      TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    erased_ms  INTEGER NOT NULL
) STRICT;
