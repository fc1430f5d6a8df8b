-- What clocks were set by, who stopped a schedule, and how much is kept.

-- How far the clock was set while runs were under way, in all (one row): what is counted down goes on as if it had not been.
CREATE TABLE task_clock (
    set_ms BIGINT NOT NULL
);
INSERT INTO task_clock VALUES (0);

-- Who held the schedule or let it go on, and whether the house has heard of it.
ALTER TABLE tasks ADD COLUMN turned_by TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN is_turn_told BIGINT NOT NULL DEFAULT 1;

-- Bytes of a run's events.
ALTER TABLE task_runs ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
UPDATE task_runs SET bytes = (SELECT COALESCE(SUM(LENGTH(body)), 0) FROM task_events WHERE run = id);

-- What is to be removed first, and how much there is.
DROP INDEX task_runs_ended;
CREATE INDEX task_runs_ended ON task_runs (ended_ms, id, bytes) WHERE place = 2;
