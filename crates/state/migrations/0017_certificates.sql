-- What is known of certificates that are renewed by ACME, beside themselves: failures in a row, an order under way, when the
-- authority wants them renewed. `body` is the edge's own form (JSON). Keys are not here: they lie in files beside the database.
CREATE TABLE certificates (
    site       TEXT PRIMARY KEY NOT NULL,
    body       TEXT NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
