-- What was told of alerts: one for each message that said that something began.
CREATE TABLE alert_incidents (
    id TEXT PRIMARY KEY NOT NULL,       -- that of the message
    rule TEXT NOT NULL,
    body TEXT NOT NULL,                 -- the message, in its sender's form
    open TEXT NOT NULL,                 -- JSON list: the groups that are not over
    began_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    acknowledged_ms INTEGER,
    acknowledged_by TEXT,
    escalate_ms INTEGER,                -- when others are told, unless somebody acknowledges it before
    escalated_ms INTEGER
) STRICT;
CREATE INDEX alert_incidents_by_time ON alert_incidents (began_ms);

-- What the watch has to remember besides the states of its rules, each in its owner's form.
CREATE TABLE alert_memory (
    name TEXT PRIMARY KEY NOT NULL,
    body TEXT NOT NULL
) STRICT;
