-- Chats that their owners keep here, each a tree of messages. `bytes` stands before the texts, so that adding it up reads none.
CREATE TABLE chats (
    id         TEXT PRIMARY KEY NOT NULL,
    owner      TEXT NOT NULL,            -- a user of the console, a key, or whoever may chat without one
    title      TEXT NOT NULL,
    model      TEXT NOT NULL,            -- empty: the usual one
    system     TEXT NOT NULL,
    options    TEXT NOT NULL,            -- JSON object
    head       TEXT,                     -- the last message of the branch that is shown
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX chats_by_owner ON chats (owner, changed_ms);

CREATE TABLE chat_messages (
    id          TEXT PRIMARY KEY NOT NULL,
    chat        TEXT NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    parent      TEXT,                    -- the message before it; none for the first
    role        TEXT NOT NULL,           -- user or assistant
    state       TEXT NOT NULL,           -- done, running, stopped, left, failed, interrupted
    created_ms  INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    told        TEXT NOT NULL,           -- JSON object: model, tokens, times, what went wrong
    text        TEXT NOT NULL,
    thinking    TEXT NOT NULL,
    attachments TEXT NOT NULL            -- JSON array
) STRICT;
CREATE INDEX chat_messages_by_chat ON chat_messages (chat, created_ms);
CREATE INDEX chat_messages_running ON chat_messages (state) WHERE state = 'running';

-- Browsers that showed a key to chat; the cookie's value is only kept hashed.
CREATE TABLE chat_sessions (
    hash       BLOB PRIMARY KEY NOT NULL,
    key_id     TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
