-- Counts erasures, so that a running house sees what the command line did by its look for changed keys, and asks nothing more.
INSERT INTO changes (name, version) VALUES ('erasures', 1);

CREATE TRIGGER erasure_is_counted AFTER INSERT ON content_erasures
BEGIN
    UPDATE changes SET version = version + 1 WHERE name = 'erasures';
END;
