-- The events of the audit log. audit_internal.create_partition creates the partitions, their indexes and their triggers. An index
-- on this parent, which is a member of the extension, would make pg_restore fail. Collation "C" compares bytes. It is faster, and
-- an upgrade of the operating system's locales leaves the indexes valid.

CREATE TABLE audit.event (
    id bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    xid xid8 NOT NULL,
    expires_on date NOT NULL,
    workspace text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    actor text COLLATE "C",
    targets text[] COLLATE "C" NOT NULL,
    ip inet,
    user_agent text COLLATE "C",
    session_id text COLLATE "C",
    request_id text COLLATE "C",
    database_user text COLLATE "C" NOT NULL,
    application_name text COLLATE "C",
    client_addr inet,
    details jsonb NOT NULL,
    salt bytea NOT NULL,
    masked integer,
    adjusted text[] COLLATE "C"
) PARTITION BY RANGE (expires_on);
COMMENT ON TABLE audit.event IS 'The events: append-only, one row for each. audit.append writes them, audit.events reads them.';
COMMENT ON COLUMN audit.event.id IS 'Number of the event, from audit_internal.event_id_seq';
COMMENT ON COLUMN audit.event.occurred_at IS 'Time of the action: the server''s clock at the append. An import supplies its own time.';
COMMENT ON COLUMN audit.event.recorded_at IS 'Time of the append, by the server''s clock';
COMMENT ON COLUMN audit.event.xid IS 'Transaction that appended the event';
COMMENT ON COLUMN audit.event.expires_on IS 'Last day (UTC) on which the event is kept: occurred_at plus the retention of its workspace';
COMMENT ON COLUMN audit.event.workspace IS 'Workspace (tenant) of the event';
COMMENT ON COLUMN audit.event.category IS 'Category of the action in the catalog at the time of the append';
COMMENT ON COLUMN audit.event.action IS 'Name of the action';
COMMENT ON COLUMN audit.event.outcome IS 'Outcome of the action: success, failure or denied';
COMMENT ON COLUMN audit.event.actor IS 'Person or program that performed the action';
COMMENT ON COLUMN audit.event.targets IS 'Things that the action was performed on, such as a ticket and its customer';
COMMENT ON COLUMN audit.event.ip IS 'Address of the actor, as the application saw it';
COMMENT ON COLUMN audit.event.user_agent IS 'User agent of the actor, as the application saw it';
COMMENT ON COLUMN audit.event.session_id IS 'Session of the actor in the application';
COMMENT ON COLUMN audit.event.request_id IS 'Request of the application that the event came from';
COMMENT ON COLUMN audit.event.database_user IS 'session_user of the connection that appended';
COMMENT ON COLUMN audit.event.application_name IS 'application_name of the connection that appended';
COMMENT ON COLUMN audit.event.client_addr IS 'Network address of the connection that appended; NULL for a Unix socket';
COMMENT ON COLUMN audit.event.details IS 'All other data about the event: a JSON object in which secrets are masked';
COMMENT ON COLUMN audit.event.salt IS '16 random bytes, which prevent a withheld field from being guessed from its hash';
COMMENT ON COLUMN audit.event.masked IS 'Number of secrets that were masked in the details; NULL if there were none';
COMMENT ON COLUMN audit.event.adjusted IS 'Names of the values that were changed or dropped because they could not be stored; NULL if there were none';

CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON audit.event
    FOR EACH ROW EXECUTE FUNCTION audit_internal.refuse_change();
ALTER TABLE audit.event ENABLE ALWAYS TRIGGER refuse_row_change;
COMMENT ON TRIGGER refuse_row_change ON audit.event IS 'Refuses to change a row of any partition';

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.event
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.refuse_change();
ALTER TABLE audit.event ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TRIGGER refuse_change ON audit.event IS 'Refuses UPDATE, DELETE and TRUNCATE, even if they affect no row';
