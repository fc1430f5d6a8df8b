-- What probes keep between their runs: baselines of quality, the past of disks. `body` is the probe's own form (JSON).
CREATE TABLE probes (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    updated_ms INTEGER NOT NULL
) WITHOUT ROWID;
