-- Dashboards: panels over searches, and where they stand.
CREATE TABLE dashboards (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL UNIQUE,
    panels     TEXT NOT NULL,            -- JSON array
    range_from TEXT NOT NULL,            -- date math on `now`, or RFC 3339; empty: the usual range
    range_to   TEXT NOT NULL,
    owner      TEXT NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
