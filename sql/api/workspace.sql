-- Settings of a workspace (tenant). A workspace without a row has the defaults, so events do not need a row here.

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
COMMENT ON TABLE audit.workspace IS 'Settings for each workspace. A workspace without a row has the defaults. audit.set_retention writes this table.';
COMMENT ON COLUMN audit.workspace.workspace IS 'Name of the workspace, as in audit.event.workspace';
COMMENT ON COLUMN audit.workspace.retention IS 'Time for which events are kept, in whole months and days from the day (UTC) of their occurrence';
COMMENT ON COLUMN audit.workspace.changed_at IS 'Time since which the retention is in force';
COMMENT ON COLUMN audit.workspace.changed_by IS 'Actor that set the retention';
COMMENT ON COLUMN audit.workspace.shortest_days IS 'Lower bound for the days that any stored event was given. It limits where the events of a day can be.';
COMMENT ON COLUMN audit.workspace.longest_days IS 'Upper bound for the days that any stored event was given';
COMMENT ON COLUMN audit.workspace.settling_after IS 'Last transaction that may still append with the previous retention';
COMMENT ON COLUMN audit.workspace.settled_at IS 'Events that occurred at least a day after this time were given exactly this retention. NULL until that is certain.';
COMMENT ON COLUMN audit.workspace.removed_before IS 'Events that occurred before this day, and are under no legal hold, are already removed or leave with their partition';

SELECT pg_catalog.pg_extension_config_dump('audit.workspace', '');
CREATE TRIGGER forget_cached AFTER INSERT OR UPDATE OF retention OR DELETE OR TRUNCATE ON audit.workspace
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.forget_cached();
ALTER TABLE audit.workspace ENABLE ALWAYS TRIGGER forget_cached;
COMMENT ON TRIGGER forget_cached ON audit.workspace IS 'Makes every backend read the workspaces again';
