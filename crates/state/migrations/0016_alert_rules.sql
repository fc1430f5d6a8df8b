-- Alert rules that were saved in the console; those of the configuration's file are not here.
CREATE TABLE alert_rules (
    name       TEXT PRIMARY KEY NOT NULL,
    body       TEXT NOT NULL,            -- the rule's settings as YAML
    owner      TEXT NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
