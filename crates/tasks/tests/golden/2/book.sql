CREATE TABLE task_clock (
    set_ms BIGINT NOT NULL
);
INSERT INTO task_clock VALUES (0);
CREATE TABLE task_events (
    run    TEXT NOT NULL,
    number BIGINT NOT NULL,
    -- Under which fence a worker wrote it; NULL for what a human did.
    fence  BIGINT,
    body   TEXT NOT NULL,
    PRIMARY KEY (run, number)
);
INSERT INTO task_events VALUES ('1kjprzb00vekbdcz', 1, 1, '{"at_ms":1772438400000,"event":"started"}');
INSERT INTO task_events VALUES ('1kjprzb00vekbdcz', 2, 1, '{"at_ms":1772438400000,"event":"begun","step":"a","generation":0,"attempt":1,"work":{"ask":{"model":"m","prompt":"p"}}}');
INSERT INTO task_events VALUES ('1kjprzb00vekbdcz', 3, 1, '{"at_ms":1772438400000,"event":"finished","step":"a","value":"answer to p","tokens":10}');
INSERT INTO task_events VALUES ('1kjprzb00vekbdcz', 4, 1, '{"at_ms":1772438400000,"event":"begun","step":"b","generation":0,"attempt":1,"work":{"run":{"command":["pay"]}}}');
INSERT INTO task_events VALUES ('1kjprzb00vekbdcz', 5, 1, '{"at_ms":1772438400000,"event":"finished","step":"b","value":{"status":0,"stdout":"pay","stderr":""}}');
INSERT INTO task_events VALUES ('1kjprzb00vekbdcz', 6, 1, '{"at_ms":1772438400000,"event":"begun","step":"c","generation":0,"attempt":1,"work":{"write":{"path":"f","text":"before: answer to p"}}}');
INSERT INTO task_events VALUES ('1kjprzb00vekbdcz', 7, 1, '{"at_ms":1772438400000,"event":"finished","step":"c","value":{"path":"f","bytes":19}}');
INSERT INTO task_events VALUES ('1kjprzb00vekbdcz', 8, 1, '{"at_ms":1772438400000,"event":"ended","outcome":"done"}');
INSERT INTO task_events VALUES ('1kjprzb00pb0hq1v', 1, 1, '{"at_ms":1772438400000,"event":"started"}');
INSERT INTO task_events VALUES ('1kjprzb00pb0hq1v', 2, 1, '{"at_ms":1772438400000,"event":"begun","step":"ok","generation":0,"attempt":1,"work":{"approve":{"text":"go on?","expires":"10d","default":"reject"}}}');
INSERT INTO task_events VALUES ('1kjprzb00rjj1m16', 1, 1, '{"at_ms":1772438400000,"event":"started"}');
INSERT INTO task_events VALUES ('1kjprzb00rjj1m16', 2, 1, '{"at_ms":1772438400000,"event":"begun","step":"w","generation":0,"attempt":1,"work":{"wait":{"for":"10h"}}}');
INSERT INTO task_events VALUES ('1kjps15k0r4xxtf6', 1, 1, '{"at_ms":1772438460000,"event":"started"}');
INSERT INTO task_events VALUES ('1kjps15k0r4xxtf6', 2, 1, '{"at_ms":1772438460000,"event":"begun","step":"a","generation":0,"attempt":1,"work":{"ask":{"model":"m","prompt":"p"}}}');
INSERT INTO task_events VALUES ('1kjps15k0r4xxtf6', 3, 1, '{"at_ms":1772438460000,"event":"finished","step":"a","value":"answer to p","tokens":10}');
INSERT INTO task_events VALUES ('1kjps15k0r4xxtf6', 4, 1, '{"at_ms":1772438460000,"event":"begun","step":"b","generation":0,"attempt":1,"work":{"run":{"command":["pay"]}}}');
CREATE TABLE task_leases (
    run     TEXT NOT NULL,
    fence   BIGINT NOT NULL,
    owner   TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    -- Events of the run when it was taken.
    events  BIGINT NOT NULL,
    PRIMARY KEY (run, fence)
);
INSERT INTO task_leases VALUES ('1kjprzb00vekbdcz', 1, 'house-90df0ff7ff4ad651', 1772438400000, 0);
INSERT INTO task_leases VALUES ('1kjprzb00pb0hq1v', 1, 'house-90df0ff7ff4ad651', 1772438400000, 0);
INSERT INTO task_leases VALUES ('1kjprzb00rjj1m16', 1, 'house-90df0ff7ff4ad651', 1772438400000, 0);
INSERT INTO task_leases VALUES ('1kjps15k0r4xxtf6', 1, 'house-90df0ff7ff4ad651', 1772438460000, 0);
CREATE TABLE task_lengths (
    task  TEXT NOT NULL,
    step  TEXT NOT NULL,
    run   TEXT NOT NULL,
    chars BIGINT NOT NULL,
    PRIMARY KEY (run, step)
);
CREATE TABLE task_partials (
    run  TEXT NOT NULL,
    step TEXT NOT NULL,
    item BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, step, item)
);
CREATE TABLE task_places (
    task TEXT PRIMARY KEY
);
INSERT INTO task_places VALUES ('moving');
INSERT INTO task_places VALUES ('asks');
INSERT INTO task_places VALUES ('waits');
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
, bytes BIGINT NOT NULL DEFAULT 0);
INSERT INTO task_runs VALUES ('1kjprzb00vekbdcz', NULL, 'moving', '96df9880d9f8', 'ann', '{}', 1772438400000, NULL, 1772438400000, NULL, 0, 1, 3, 2, 'done', NULL, NULL, NULL, 3, 10, NULL, 1772438400000, 1772438400000, NULL, '1kjprzb00vekbdcz moving ann  ', 8, 8, 0, 1, NULL, 0, 737);
INSERT INTO task_runs VALUES ('1kjprzb00pb0hq1v', NULL, 'asks', '763e4c9b0f83', 'ann', '{}', 1772438400000, NULL, 1772438400000, NULL, 0, 1, 1, 1, 'asking', NULL, 1773302400000, 'ok', 0, 0, NULL, 1772438400000, NULL, '{"run":"1kjprzb00pb0hq1v","task":"asks","step":"ok","why":"approve","text":"go on?","by":[],"since_ms":1772438400000,"expires_ms":1773302400000,"number":2}', '1kjprzb00pb0hq1v asks ann ok ', 2, 2, 0, 1, NULL, 0, 191);
INSERT INTO task_runs VALUES ('1kjprzb00rjj1m16', NULL, 'waits', '5e5b9aa2f346', 'ann', '{}', 1772438400000, NULL, 1772438400000, NULL, 0, 1, 2, 1, 'waiting', 'time', 1772474400000, 'w', 0, 0, NULL, 1772438400000, NULL, NULL, '1kjprzb00rjj1m16 waits ann w ', 2, 2, 0, 1, NULL, 0, 148);
INSERT INTO task_runs VALUES ('1kjps15k0r4xxtf6', NULL, 'moving', '96df9880d9f8', 'ann', '{}', 1772438460000, NULL, 1772438460000, NULL, 0, 1, 3, 1, 'running', NULL, 1772438460000, 'b', 1, 10, NULL, 1772438460000, NULL, NULL, '1kjps15k0r4xxtf6 moving ann b ', 4, 2, 0, 1, 'house-90df0ff7ff4ad651', 1772438470000, 359);
CREATE TABLE task_versions (
    version    TEXT PRIMARY KEY,
    task       TEXT NOT NULL,
    text       TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
INSERT INTO task_versions VALUES ('96df9880d9f8', 'moving', 'steps: [{name: a, ask: {model: m, prompt: p}}, {name: b, run: {command: [pay]}}, {name: c, write: {path: f, text: ''before: {{ a }}''}}]', 1772438400000);
INSERT INTO task_versions VALUES ('763e4c9b0f83', 'asks', 'steps: [{name: ok, approve: {text: ''go on?'', expires: 240h}}]', 1772438400000);
INSERT INTO task_versions VALUES ('5e5b9aa2f346', 'waits', 'steps: [{name: w, wait: {for: 10h}}, {name: f, write: {path: g, text: waited}}]', 1772438400000);
INSERT INTO task_versions VALUES ('fe012f31f620', 'moving', 'steps: [{name: a, ask: {model: m, prompt: p}}, {name: b, run: {command: [pay]}}, {name: c, write: {path: f, text: ''after: {{ a }}''}}]', 1772438460000);
CREATE TABLE tasks (
    name      TEXT PRIMARY KEY,
    version   TEXT NOT NULL,
    is_there  BIGINT NOT NULL,
    is_held   BIGINT NOT NULL,
    cursor_ms BIGINT NOT NULL
, turned_by TEXT NOT NULL DEFAULT '', is_turn_told BIGINT NOT NULL DEFAULT 1);
INSERT INTO tasks VALUES ('moving', 'fe012f31f620', 1, 0, 1772438400000, '', 1);
INSERT INTO tasks VALUES ('asks', '763e4c9b0f83', 1, 0, 1772438400000, '', 1);
INSERT INTO tasks VALUES ('waits', '5e5b9aa2f346', 1, 0, 1772438400000, '', 1);
CREATE TABLE tollhouse_tasks_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO tollhouse_tasks_migrations VALUES (1, 'first', '2026-11-22 13:11:20', 1, X'97B094C8687043427D2C77586C75DFA4C7B88FCF997D3A963F6376DC3E8088763C7646A6E9A21B1CE1450584A1035E5C', 4421461);
INSERT INTO tollhouse_tasks_migrations VALUES (2, 'clock', '2026-11-22 13:11:20', 1, X'9539940BF0954053D1A772EF856BB79011A9E07D5995B7DE2B4B17D1AD4BD995B35CE8AB852CEF1FAB6789826CA463D2', 3031725);
CREATE INDEX task_lengths_step ON task_lengths (task, step, run);
CREATE INDEX task_runs_asked ON task_runs (id) WHERE asked IS NOT NULL;
CREATE INDEX task_runs_ended ON task_runs (ended_ms, id, bytes) WHERE place = 2;
CREATE INDEX task_runs_owner ON task_runs (lease_owner) WHERE lease_owner IS NOT NULL;
CREATE INDEX task_runs_parent ON task_runs (parent) WHERE parent IS NOT NULL;
CREATE INDEX task_runs_place ON task_runs (task, place, id);
CREATE INDEX task_runs_status ON task_runs (status, id);
CREATE INDEX task_runs_untold ON task_runs (id) WHERE place = 2 AND told < events;
CREATE INDEX task_runs_wake ON task_runs (wake_ms) WHERE place = 1;
CREATE INDEX task_runs_words ON task_runs (id, words);
