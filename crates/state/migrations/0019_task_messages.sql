-- What humans are asked by tasks, for each channel: noted before it is sent, and sent once.
CREATE TABLE task_messages (
    key        TEXT NOT NULL,            -- of the message; another one for each reminder
    channel    TEXT NOT NULL,
    run        TEXT NOT NULL,
    number     INTEGER NOT NULL,         -- which of the run's questions
    created_ms INTEGER NOT NULL,
    sent_ms    INTEGER,                  -- nothing while it waits
    PRIMARY KEY (key, channel)
) STRICT;
