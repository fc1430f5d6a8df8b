-- Saved searches: what the console, and later alerts and panels, look at again and again.
CREATE TABLE saved (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL UNIQUE,
    query      TEXT NOT NULL,
    language   TEXT NOT NULL,            -- lucene or kql
    scope      TEXT NOT NULL,            -- kind of the records; empty: all kinds
    range_from TEXT NOT NULL,            -- date math on `now`, or RFC 3339
    range_to   TEXT NOT NULL,
    columns    TEXT NOT NULL,            -- JSON array of fields; empty: the usual ones
    sort       TEXT NOT NULL,            -- `field:desc`; empty: newest first
    owner      TEXT NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
