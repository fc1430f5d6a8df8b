-- Users of the console. A password is kept as an Argon2id hash under the house's pepper.
CREATE TABLE users (
    id           TEXT PRIMARY KEY NOT NULL,
    name         TEXT NOT NULL,
    name_key     TEXT NOT NULL UNIQUE,                                     -- the name in lower case: no two differ in case alone
    role         TEXT NOT NULL,                                            -- viewer, operator, admin
    password     TEXT NOT NULL,
    created_ms   INTEGER NOT NULL,
    signed_in_ms INTEGER
) STRICT;

-- Sessions get a public id, an owner, and what their owner may want to know of them.
CREATE TABLE sessions_of_users (
    hash       BLOB PRIMARY KEY NOT NULL,
    id         TEXT NOT NULL UNIQUE,
    user_id    TEXT REFERENCES users (id) ON DELETE CASCADE,               -- none: opened by a tokenised address
    way        TEXT NOT NULL,                                              -- token, password
    address    TEXT NOT NULL,
    agent      TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    seen_ms    INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
INSERT INTO sessions_of_users (hash, id, way, address, agent, created_ms, seen_ms, expires_ms)
    SELECT hash, lower(hex(randomblob(8))), 'token', '', '', created_ms, created_ms, expires_ms FROM sessions;
DROP TABLE sessions;
ALTER TABLE sessions_of_users RENAME TO sessions;
CREATE INDEX sessions_by_user ON sessions (user_id);
INSERT INTO changes (name, version) VALUES ('sessions', 1);

-- What the command line did, until the journal has a record of each.
CREATE TABLE waiting_audits (
    number  INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    what    TEXT NOT NULL,
    fields  TEXT NOT NULL,                                                 -- JSON object
    done_ms INTEGER NOT NULL
) STRICT;
