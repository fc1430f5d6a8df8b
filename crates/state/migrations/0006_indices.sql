-- Which indices a key may use.
ALTER TABLE keys ADD COLUMN indices TEXT NOT NULL DEFAULT '[]';   -- JSON array of patterns; empty: every index
