-- Partitions that were written to object storage before they are dropped. audit-sidecar writes the files and reads them back.
-- This file has the functions that it calls, and the record that it makes.

CREATE TABLE audit.archive (
    partition text COLLATE "C" PRIMARY KEY,
    month date NOT NULL,
    location text NOT NULL,
    files integer NOT NULL CHECK (files >= 0),
    events bigint NOT NULL,
    id_checksum bigint NOT NULL,
    content_sha256 bytea NOT NULL CHECK (octet_length(content_sha256) = 32),
    archived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    archived_by text NOT NULL
);
COMMENT ON TABLE audit.archive IS 'Partitions that were archived, including those dropped since. audit.record_archive writes this table.';
COMMENT ON COLUMN audit.archive.partition IS 'Name of the partition in schema audit_internal, and of its file in each folder';
COMMENT ON COLUMN audit.archive.month IS 'First day of the month in which the events expire';
COMMENT ON COLUMN audit.archive.location IS 'Folder or URL of the files. Each file has the path workspace=…/month=…/<partition>.parquet below it.';
COMMENT ON COLUMN audit.archive.files IS 'Number of files: one for each workspace and month (UTC) of occurrence';
COMMENT ON COLUMN audit.archive.events IS 'Number of events in the files';
COMMENT ON COLUMN audit.archive.id_checksum IS 'Checksum of the ids of these events, as audit.partition_checksum returns it';
COMMENT ON COLUMN audit.archive.content_sha256 IS
    'SHA-256 of the content that was read back, with the events in the order of workspace, occurred_at and id. Each event contributes its line of format v1, a tab, xid, a tab, expires_on, and a line feed.';
COMMENT ON COLUMN audit.archive.archived_at IS 'Time at which the archive was recorded';
COMMENT ON COLUMN audit.archive.archived_by IS 'Actor that archived the partition';

SELECT pg_catalog.pg_extension_config_dump('audit.archive', '');

CREATE FUNCTION audit.partition_checksum(partition text, OUT events bigint, OUT id_checksum bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    -- A sum does not depend on the order. The remainder fits into a bigint.
    EXECUTE format('SELECT count(*), coalesce(sum(hashint8extended(e.id, 0)) %% 9223372036854775808, 0)::bigint FROM %s e',
                   audit_internal.find_partition(partition)) INTO events, id_checksum;
END
$$;
COMMENT ON FUNCTION audit.partition_checksum(text) IS 'Returns the number of events in a partition and a checksum of their ids (SQLSTATE ZA003)';

CREATE FUNCTION audit.partition_events(partition text, portal refcursor DEFAULT 'audit_archive') RETURNS refcursor
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET cursor_tuple_fraction = 1
AS $$
BEGIN
    OPEN portal NO SCROLL FOR EXECUTE format(
        'SELECT %s, e.xid, e.expires_on FROM %s e ORDER BY e.workspace, e.occurred_at, e.id',
        audit_internal.event_columns(), audit_internal.find_partition(partition));
    RETURN portal;
END
$$;
COMMENT ON FUNCTION audit.partition_events(text, refcursor) IS
    'Opens a cursor over all events of a partition, including expired ones, by workspace, occurred_at and id. Its columns are those of audit.event_result, then xid and expires_on (SQLSTATE ZA003).';

CREATE FUNCTION audit.is_archived(partition text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$ SELECT audit_internal.is_archived(audit_internal.find_partition(partition)) $$;
COMMENT ON FUNCTION audit.is_archived(text) IS
    'Returns whether a partition was archived and still holds exactly the archived events (SQLSTATE ZA003)';

CREATE FUNCTION audit.archivable() RETURNS TABLE (partition text, events bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    FOR partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'audit.event'::regclass AND c.relnamespace = 'audit_internal'::regnamespace
        ORDER BY c.relname
    LOOP
        IF audit_internal.is_removable(audit_internal.find_partition(partition)) AND NOT audit_internal.is_archived(audit_internal.find_partition(partition)) THEN
            events := (audit.partition_checksum(partition)).events;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit.archivable() IS
    'Returns the partitions that are due to be dropped but not archived in their present state, and the number of their events';

CREATE FUNCTION audit.record_archive(
    partition text, location text, files integer, events bigint, id_checksum bigint, content_sha256 bytea
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
DECLARE
    who text := audit_internal.who();
    actual record := audit.partition_checksum(partition);
    month date := (SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''([0-9-]+)''\)')
                   FROM pg_class c WHERE c.oid = audit_internal.find_partition(partition));
BEGIN
    IF actual.events IS DISTINCT FROM events OR actual.id_checksum IS DISTINCT FROM id_checksum THEN
        RAISE EXCEPTION 'partition % now holds % events, but % were archived%', partition, actual.events,
                coalesce(events::text, 'NULL'), CASE WHEN actual.events = events THEN ', and the ids differ' ELSE '' END
            USING ERRCODE = 'ZA014', HINT = 'Archive the partition again with audit-sidecar archive.';
    END IF;
    INSERT INTO audit.archive (partition, month, location, files, events, id_checksum, content_sha256, archived_by)
    VALUES (partition, month, location, files, events, id_checksum, content_sha256, who)
    ON CONFLICT ON CONSTRAINT archive_pkey DO UPDATE
    SET month = excluded.month, location = excluded.location, files = excluded.files, events = excluded.events,
        id_checksum = excluded.id_checksum, content_sha256 = excluded.content_sha256,
        archived_at = excluded.archived_at, archived_by = excluded.archived_by;
    DELETE FROM audit_internal.archive_failure f WHERE f.partition = record_archive.partition;
    PERFORM audit.append('partition_archived', workspace => 'audit', actor => who, target => 'partition:' || partition,
                         details => jsonb_build_object('location', location, 'files', files, 'events', events,
                                                       'sha256', encode(content_sha256, 'hex')));
END
$$;
COMMENT ON FUNCTION audit.record_archive(text, text, integer, bigint, bigint, bytea) IS
    'Records that a partition was archived and read back, if it holds exactly the archived events, and appends an event (SQLSTATE ZA003, ZA014)';

CREATE FUNCTION audit.record_archive_failure(partition text, problem text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM audit_internal.find_partition(partition);
    INSERT INTO audit_internal.archive_failure AS f (partition, failed_at, problem)
    VALUES (partition, clock_timestamp(), left(coalesce(problem, 'unknown'), 2000))
    ON CONFLICT ON CONSTRAINT archive_failure_pkey DO UPDATE SET failed_at = excluded.failed_at, problem = excluded.problem;
END
$$;
COMMENT ON FUNCTION audit.record_archive_failure(text, text) IS
    'Records why a partition could not be archived. audit.status() shows it until the partition is archived or dropped (SQLSTATE ZA003).';
