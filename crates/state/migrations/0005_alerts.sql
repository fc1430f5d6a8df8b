-- What each alert rule found, by the value that it groups by. `body` is the rule's own form.
CREATE TABLE alert_states (
    rule TEXT NOT NULL,
    grouping TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (rule, grouping)
) WITHOUT ROWID;

-- What is still to be told, in its order: to a channel, or to the journal (an empty name).
CREATE TABLE alert_outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    body TEXT NOT NULL,
    created_ms INTEGER NOT NULL
);
CREATE INDEX alert_outbox_by_channel ON alert_outbox (channel, number);

-- Rules of which nothing is told for a while.
CREATE TABLE alert_silences (
    rule TEXT PRIMARY KEY,
    until_ms INTEGER NOT NULL
) WITHOUT ROWID;
