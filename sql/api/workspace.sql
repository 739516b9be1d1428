-- Settings of a workspace (tenant). A workspace without a row has the defaults: an event needs no row here.

CREATE TABLE audit.workspace (
    workspace text COLLATE "C" PRIMARY KEY,
    retention interval NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL DEFAULT session_user,
    shortest_days integer NOT NULL,
    longest_days integer NOT NULL,
    settling_after xid8,
    settled_at timestamptz,
    removed_before date
);
COMMENT ON TABLE audit.workspace IS 'Settings per workspace; a workspace without a row has the defaults. audit.set_retention writes it';
COMMENT ON COLUMN audit.workspace.workspace IS 'Name of the workspace, as in audit.event.workspace';
COMMENT ON COLUMN audit.workspace.retention IS 'How long events are kept, counted from the day (UTC) they occurred on; whole months and days';
COMMENT ON COLUMN audit.workspace.changed_at IS 'Since when it is in force';
COMMENT ON COLUMN audit.workspace.changed_by IS 'Who set it';
COMMENT ON COLUMN audit.workspace.shortest_days IS 'No stored event was given less than so many days: tells where the events of a day can be';
COMMENT ON COLUMN audit.workspace.longest_days IS 'No stored event was given more than so many days';
COMMENT ON COLUMN audit.workspace.settling_after IS 'Transactions up to this one may still append with the retention before';
COMMENT ON COLUMN audit.workspace.settled_at IS 'What occurred a day after that, or later, was given exactly this retention; NULL while that is not sure';
COMMENT ON COLUMN audit.workspace.removed_before IS 'What occurred before this day, and is under no legal hold, is gone already or goes with its partition';

SELECT pg_catalog.pg_extension_config_dump('audit.workspace', '');
CREATE TRIGGER forget_cached AFTER INSERT OR UPDATE OF retention OR DELETE OR TRUNCATE ON audit.workspace
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.forget_cached();
ALTER TABLE audit.workspace ENABLE ALWAYS TRIGGER forget_cached;
COMMENT ON TRIGGER forget_cached ON audit.workspace IS 'Makes every backend read the workspaces anew';
