-- Leaves whose events retention removed.

CREATE TABLE audit.removal (
    workspace text COLLATE "C" NOT NULL,
    first bigint NOT NULL,
    beyond bigint NOT NULL,
    event_id bigint NOT NULL,
    PRIMARY KEY (workspace, first)
);
COMMENT ON TABLE audit.removal IS 'Leaves whose events retention removed. Their hashes stay.';
COMMENT ON COLUMN audit.removal.workspace IS 'Workspace of the log';
COMMENT ON COLUMN audit.removal.first IS 'First leaf of a range';
COMMENT ON COLUMN audit.removal.beyond IS 'Leaf after the last of the range';
COMMENT ON COLUMN audit.removal.event_id IS 'Event events_removed that records the removal. Retention can remove this event later.';

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.removal
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.refuse_change();
ALTER TABLE audit.removal ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TRIGGER refuse_change ON audit.removal IS 'Refuses to change a recorded removal';

SELECT pg_catalog.pg_extension_config_dump('audit.removal', '');
