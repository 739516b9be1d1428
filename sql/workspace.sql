-- Settings of a workspace (tenant). A workspace without a row has the defaults: an event needs no row here.

CREATE TABLE audit.workspace (
    workspace text COLLATE "C" PRIMARY KEY,
    retention interval NOT NULL DEFAULT interval '13 months',
    shortest_retention interval NOT NULL DEFAULT interval '13 months',
    longest_retention interval NOT NULL DEFAULT interval '13 months'
);
COMMENT ON TABLE audit.workspace IS 'Settings per workspace; a workspace without a row has the defaults';
COMMENT ON COLUMN audit.workspace.workspace IS 'Name of the workspace, as in audit.event.workspace';
COMMENT ON COLUMN audit.workspace.retention IS 'How long events are kept, counted from occurred_at; new events get expires_on from it';
COMMENT ON COLUMN audit.workspace.shortest_retention IS 'Shortest retention that a stored event can have been appended with: bounds expires_on from below';
COMMENT ON COLUMN audit.workspace.longest_retention IS 'Longest retention that a stored event can have been appended with: bounds expires_on from above';

SELECT pg_catalog.pg_extension_config_dump('audit.workspace', '');
