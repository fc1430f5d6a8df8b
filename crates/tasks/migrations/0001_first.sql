-- The book of runs, the same on SQLite and Postgres. Times are milliseconds since 1970 UTC; truths are 0 and 1.

-- Every text of a task that a run goes by, and those in force.
CREATE TABLE task_versions (
    version    TEXT PRIMARY KEY,
    task       TEXT NOT NULL,
    text       TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- The tasks in force. A task that was taken away keeps its row, so that its place in time is known when it comes back.
CREATE TABLE tasks (
    name      TEXT PRIMARY KEY,
    version   TEXT NOT NULL,
    is_there  BIGINT NOT NULL,
    is_held   BIGINT NOT NULL,
    cursor_ms BIGINT NOT NULL
);

CREATE TABLE task_runs (
    id             TEXT PRIMARY KEY,
    -- Names what asked for it, so that asking twice gives one run.
    origin         TEXT UNIQUE,
    task           TEXT NOT NULL,
    version        TEXT NOT NULL,
    who            TEXT NOT NULL,
    input          TEXT NOT NULL,
    for_ms         BIGINT NOT NULL,
    scheduled_ms   BIGINT,
    created_ms     BIGINT NOT NULL,
    parent         TEXT,
    depth          BIGINT NOT NULL,
    concurrency    BIGINT NOT NULL,
    steps          BIGINT NOT NULL,
    -- 0 waits for a place of the task's concurrency, 1 has one, 2 is over.
    place          BIGINT NOT NULL,
    status         TEXT NOT NULL,
    waiting        TEXT,
    wake_ms        BIGINT,
    step           TEXT,
    steps_done     BIGINT NOT NULL,
    tokens         BIGINT NOT NULL,
    error          TEXT,
    started_ms     BIGINT,
    ended_ms       BIGINT,
    -- The question that a human is asked, as JSON.
    asked          TEXT,
    -- In lower case, what a search looks at.
    words          TEXT NOT NULL,
    events         BIGINT NOT NULL,
    -- Events that the house has heard of.
    told           BIGINT NOT NULL,
    -- Whether the run that began it knows how it ended.
    is_reported    BIGINT NOT NULL,
    fence          BIGINT NOT NULL,
    lease_owner    TEXT,
    lease_until_ms BIGINT NOT NULL
);
CREATE INDEX task_runs_wake ON task_runs (wake_ms) WHERE place = 1;
CREATE INDEX task_runs_place ON task_runs (task, place, id);
CREATE INDEX task_runs_status ON task_runs (status, id);
CREATE INDEX task_runs_words ON task_runs (id, words);
CREATE INDEX task_runs_parent ON task_runs (parent) WHERE parent IS NOT NULL;
CREATE INDEX task_runs_ended ON task_runs (ended_ms) WHERE place = 2;
-- Ended runs of which the house has not heard everything.
CREATE INDEX task_runs_untold ON task_runs (id) WHERE place = 2 AND told < events;
CREATE INDEX task_runs_asked ON task_runs (id) WHERE asked IS NOT NULL;
CREATE INDEX task_runs_owner ON task_runs (lease_owner) WHERE lease_owner IS NOT NULL;

CREATE TABLE task_events (
    run    TEXT NOT NULL,
    number BIGINT NOT NULL,
    -- Under which fence a worker wrote it; NULL for what a human did.
    fence  BIGINT,
    body   TEXT NOT NULL,
    PRIMARY KEY (run, number)
);

-- Which worker held which run: what happened under which fence can be checked afterwards.
CREATE TABLE task_leases (
    run     TEXT NOT NULL,
    fence   BIGINT NOT NULL,
    owner   TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    -- Events of the run when it was taken.
    events  BIGINT NOT NULL,
    PRIMARY KEY (run, fence)
);

-- The beginnings of answers that are still coming; `item` is -1 where a step has no list.
CREATE TABLE task_partials (
    run  TEXT NOT NULL,
    step TEXT NOT NULL,
    item BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, step, item)
);

-- How long the outputs of runs were that came to a good end.
CREATE TABLE task_lengths (
    task  TEXT NOT NULL,
    step  TEXT NOT NULL,
    run   TEXT NOT NULL,
    chars BIGINT NOT NULL,
    PRIMARY KEY (run, step)
);
CREATE INDEX task_lengths_step ON task_lengths (task, step, run);

-- One row a task, held while places are given.
CREATE TABLE task_places (
    task TEXT PRIMARY KEY
);
