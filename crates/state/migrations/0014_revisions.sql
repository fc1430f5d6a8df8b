-- What was changed of the configuration file in the console. Texts hold masks in the place of secrets.
CREATE TABLE revisions (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms     INTEGER NOT NULL,
    by        TEXT NOT NULL,
    role      TEXT NOT NULL,
    client    TEXT NOT NULL,
    before    TEXT NOT NULL,
    after     TEXT NOT NULL,
    changed   TEXT NOT NULL,            -- JSON array of paths
    restart   TEXT NOT NULL             -- JSON array of those that wait for the next start
) STRICT;
