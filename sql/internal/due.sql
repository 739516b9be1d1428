-- Due partitions: their month of expiry has passed. Events that must stay move to a later partition. The rest is dropped with the
-- partition.

CREATE TABLE audit_internal.moved_from (
    partition text COLLATE "C" PRIMARY KEY,
    last_move xid8 NOT NULL
);
COMMENT ON TABLE audit_internal.moved_from IS 'Due partitions that events were moved out of. An older snapshot sees these events only in their old partition.';
COMMENT ON COLUMN audit_internal.moved_from.partition IS 'Name of the partition in schema audit_internal';
COMMENT ON COLUMN audit_internal.moved_from.last_move IS 'Last transaction that moved events out of the partition';

CREATE FUNCTION audit_internal.move_events(partition regclass, ids bigint[], expires_on date[]) RETURNS bigint
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'audit_move_events';
COMMENT ON FUNCTION audit_internal.move_events(regclass, bigint[], date[]) IS
    'Gives events of a partition a new expires_on, and so moves them to another partition. Returns their number.';

CREATE FUNCTION audit_internal.due_partitions() RETURNS TABLE (partition regclass)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.oid::regclass
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit.event'::regclass
      AND audit_internal.is_partition_name(c.relname)
      AND c.relname < audit_internal.partition_name(audit_internal.today())
      AND NOT audit_internal.clock_has_jumped()
    ORDER BY c.relname
$$;
COMMENT ON FUNCTION audit_internal.due_partitions() IS 'Returns the partitions whose month of expiry has passed, oldest first. Returns none if the clock has jumped.';

CREATE FUNCTION audit_internal.kept_rows(partition regclass, max_rows bigint) RETURNS TABLE (id bigint, expires_on date)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_column
DECLARE
    space text;
    retention interval;
    first_day timestamptz;
    held text;
    found bigint;
    missing bigint := max_rows;
BEGIN
    LOOP
        -- The loop goes from one workspace to the next by the index. A partition can have thousands of workspaces and millions of
        -- events.
        EXECUTE format($q$SELECT e.workspace FROM ONLY %s e
                          WHERE $1 IS NULL OR e.workspace > $1 ORDER BY e.workspace, e.occurred_at, e.id LIMIT 1$q$,
                       partition) INTO space USING space;
        EXIT WHEN space IS NULL OR missing <= 0;
        retention := audit_internal.retention_in_force(space);
        first_day := audit_internal.midnight(audit_internal.first_kept_day(retention, audit_internal.today()));
        RETURN QUERY EXECUTE format(
            $q$SELECT e.id, audit_internal.expires_on(e.occurred_at, $1) FROM ONLY %s e
               WHERE e.workspace = $2 AND e.occurred_at >= $3 LIMIT $4$q$,
            partition) USING retention, space, first_day, missing;
        GET DIAGNOSTICS found = ROW_COUNT;
        missing := missing - found;
        held := audit_internal.held_condition(space);
        IF held IS NOT NULL AND missing > 0 THEN
            RETURN QUERY EXECUTE format(
                $q$SELECT e.id, 'infinity'::date FROM ONLY %s e WHERE e.workspace = $1 AND e.occurred_at < $2 AND %s LIMIT $3$q$,
                partition, held) USING space, first_day, missing;
            GET DIAGNOSTICS found = ROW_COUNT;
            missing := missing - found;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit_internal.kept_rows(regclass, bigint) IS
    'Returns events of a due partition that must stay, at most max_rows, with their new expires_on. It follows from the retention in force, or is infinity for a legal hold.';

CREATE FUNCTION audit_internal.is_sealed(partition regclass) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format($q$SELECT NOT EXISTS (
                          SELECT FROM ONLY %s e LEFT JOIN audit_internal.sealer s ON true
                          WHERE s.sealed IS NULL OR e.id > s.ids_after AND e.xid >= pg_snapshot_xmax(s.sealed)
                             OR e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(s.sealed))))$q$,
                   partition) INTO found;
    RETURN found;
END
$$;
COMMENT ON FUNCTION audit_internal.is_sealed(regclass) IS 'Returns whether every event of a partition has its leaf';

CREATE FUNCTION audit_internal.is_removable(partition regclass) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT partition IN (SELECT d.partition FROM audit_internal.due_partitions() d)
       AND NOT EXISTS (SELECT FROM audit_internal.kept_rows(is_removable.partition, 1))
$$;
COMMENT ON FUNCTION audit_internal.is_removable(regclass) IS 'Returns whether a partition is due and holds no event that must stay';

CREATE FUNCTION audit_internal.create_partitions(days date[]) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    month date;
    made boolean := false;
BEGIN
    IF 'infinity' = ANY (days) AND to_regclass('audit_internal.event_held') IS NULL THEN
        PERFORM audit_internal.create_held_partition();
        made := true;
    END IF;
    FOR month IN SELECT DISTINCT date_trunc('month', day::timestamp)::date FROM unnest(days) day WHERE day < 'infinity' LOOP
        CONTINUE WHEN to_regclass('audit_internal.' || audit_internal.partition_name(month)) IS NOT NULL;
        PERFORM audit_internal.create_partition(month);
        made := true;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION audit_internal.create_partitions(date[]) IS
    'Creates the missing partitions for events that expire on the given days, and returns whether any was missing. The day infinity stands for events under legal hold.';

CREATE FUNCTION audit_internal.move_kept_rows(partition regclass, max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ids bigint[];
    days date[];
BEGIN
    SELECT array_agg(k.id), array_agg(k.expires_on) INTO ids, days FROM audit_internal.kept_rows(partition, max_rows) k;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    IF audit_internal.create_partitions(days) THEN
        -- An append that needs one of the new partitions waits until this transaction commits.
        RETURN NULL;
    END IF;
    INSERT INTO audit_internal.moved_from AS m (partition, last_move)
    VALUES ((SELECT c.relname FROM pg_class c WHERE c.oid = move_kept_rows.partition), pg_current_xact_id())
    ON CONFLICT ON CONSTRAINT moved_from_pkey DO UPDATE SET last_move = excluded.last_move;
    RETURN audit_internal.move_events(partition, ids, days);
END
$$;
COMMENT ON FUNCTION audit_internal.move_kept_rows(regclass, bigint) IS
    'Moves events that must stay from a due partition to later ones, and returns their number, at most max_rows. Returns NULL if it first had to create a partition.';

CREATE FUNCTION audit_internal.is_still_read(partition regclass) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A snapshot from before the commit of the move has an xmin at or before it. Slots and walsenders stand for standbys.
    SELECT EXISTS (
        SELECT FROM audit_internal.moved_from m JOIN pg_class c ON c.relname = m.partition
        WHERE c.oid = is_still_read.partition
          AND (m.last_move = pg_current_xact_id_if_assigned()
               OR age(m.last_move::xid) <= (
                   SELECT max(age(o.xmin))
                   FROM (SELECT a.backend_xmin AS xmin FROM pg_stat_activity a
                         WHERE (a.datname = current_database() OR a.datname IS NULL) AND a.pid <> pg_backend_pid()
                         UNION ALL SELECT r.xmin FROM pg_replication_slots r) o
                   WHERE o.xmin IS NOT NULL)))
$$;
COMMENT ON FUNCTION audit_internal.is_still_read(regclass) IS
    'Returns whether a snapshot from before events were moved out of a partition may still be in use';

CREATE FUNCTION audit_internal.is_archived(partition regclass) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text := (SELECT c.relname FROM pg_class c WHERE c.oid = partition AND c.relnamespace = 'audit_internal'::regnamespace);
    recorded audit.archive;
    actual record;
BEGIN
    SELECT * INTO recorded FROM audit.archive a WHERE a.partition = name;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    actual := audit.partition_checksum(name);
    RETURN actual.events = recorded.events AND actual.id_checksum = recorded.id_checksum;
END
$$;
COMMENT ON FUNCTION audit_internal.is_archived(regclass) IS
    'Returns whether a partition was archived and still holds exactly the archived events';

CREATE FUNCTION audit_internal.obstacle_to_drop(partition regclass) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN CASE
        WHEN NOT audit_internal.is_sealed(partition) THEN format('%s holds events that have no leaf yet', partition)
        WHEN coalesce(nullif(current_setting('audit.require_archive', true), ''), 'off')::boolean AND NOT audit_internal.is_archived(partition)
            THEN format('%s is due but not archived, and audit.require_archive is on', partition)
        WHEN audit_internal.is_still_read(partition) THEN format('%s waits for transactions that began before events were moved out of it', partition)
    END;
END
$$;
COMMENT ON FUNCTION audit_internal.obstacle_to_drop(regclass) IS 'Returns the reason why a partition that holds no event to keep cannot be dropped yet, or NULL';

CREATE FUNCTION audit_internal.drop_partition(partition regclass) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    name text := (SELECT c.relname FROM pg_class c WHERE c.oid = partition);
    space record;
    counts jsonb := '[]';
    events bigint := 0;
BEGIN
    -- No session inserts into a due partition any more. This lock ensures it.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', partition);
    IF NOT audit_internal.is_removable(partition) OR NOT audit_internal.is_sealed(partition) THEN
        RETURN NULL;
    END IF;
    FOR space IN EXECUTE format(
        $q$SELECT e.workspace, count(*) AS events, min(e.occurred_at) AS first_time, max(e.occurred_at) AS last_time, array_agg(e.id) AS ids
           FROM ONLY %s e GROUP BY e.workspace ORDER BY e.workspace$q$, partition)
    LOOP
        PERFORM audit_internal.record_removal(
            space.workspace, 'retention', audit_internal.first_kept_day(audit_internal.retention_in_force(space.workspace), audit_internal.today()),
            space.ids, space.first_time, space.last_time);
        counts := counts || jsonb_build_object('workspace', space.workspace, 'events', space.events);
        events := events + space.events;
    END LOOP;
    PERFORM audit.append('partition_dropped', workspace => 'audit', actor => audit_internal.who('system:maintenance'), target => 'partition:' || name,
                         details => jsonb_build_object('partition', name, 'events', events, 'workspaces', counts));
    -- The sealer can read audit.event for longer than lock_timeout. While this call waits for it, no query waits.
    PERFORM audit_internal.wait_for_sealer();
    -- From here until the commit, no query can begin. Appends do not need these locks.
    LOCK TABLE ONLY audit.event IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('DROP TABLE %s', partition);
    DELETE FROM audit_internal.moved_from m WHERE m.partition = name;
    DELETE FROM audit_internal.archive_failure f WHERE f.partition = name;
    RETURN events;
END
$$;
COMMENT ON FUNCTION audit_internal.drop_partition(regclass) IS
    'Drops a due partition that holds no event that must stay, and appends an event for it and one for each workspace. Returns NULL if an event must stay or has no leaf (SQLSTATE 55P03 if a lock is not available).';
