-- What is done as time goes by: partitions for the coming months, and what is past its retention. Each call does a bounded amount of
-- work in one transaction; who wants all of it done calls until no row comes back. Appends wait for none of it.

CREATE TABLE audit.maintenance (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    last_run_at timestamptz NOT NULL,
    waiting_for text,
    waiting_since timestamptz
);
COMMENT ON TABLE audit.maintenance IS 'How maintenance gets on: one row, since its first run; audit.status() puts it in words';
COMMENT ON COLUMN audit.maintenance.one IS 'There is one row';
COMMENT ON COLUMN audit.maintenance.last_run_at IS 'When audit.maintain has last run to its end';
COMMENT ON COLUMN audit.maintenance.waiting_for IS 'What the last run could not do, and why; NULL where nothing was in its way';
COMMENT ON COLUMN audit.maintenance.waiting_since IS 'Since when it cannot';

CREATE TABLE audit.moved_from (
    partition text COLLATE "C" PRIMARY KEY,
    last_move xid8 NOT NULL
);
COMMENT ON TABLE audit.moved_from IS 'Due partitions that events were moved out of: who began to read before sees these events there alone';
COMMENT ON COLUMN audit.moved_from.partition IS 'Name of the partition in schema audit';
COMMENT ON COLUMN audit.moved_from.last_move IS 'The last transaction that moved some';

-- The library's share: what the guard refuses to everyone else.

CREATE FUNCTION audit.move_events(partition regclass, ids bigint[], expires_on date[]) RETURNS bigint
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'audit_move_events';
COMMENT ON FUNCTION audit.move_events(regclass, bigint[], date[]) IS
    'Gives events of a partition another expires_on and with it another partition; how many there were';

CREATE FUNCTION audit.remove_events(partition regclass, ids bigint[]) RETURNS bigint
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'audit_remove_events';
COMMENT ON FUNCTION audit.remove_events(regclass, bigint[]) IS
    'Removes events of a partition, those alone that audit.is_kept does not keep; how many there were';

CREATE FUNCTION audit.due_partitions() RETURNS TABLE (partition regclass)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.oid::regclass
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit.event'::regclass
      AND c.relname ~ '^event_[0-9]{4}_[0-9]{2}$'
      AND c.relname < 'event_' || to_char(audit.today(), 'YYYY_MM')
    ORDER BY c.relname
$$;
COMMENT ON FUNCTION audit.due_partitions() IS 'Partitions whose month of expiry has passed, oldest first';

CREATE FUNCTION audit.kept_rows(partition regclass, max_rows bigint) RETURNS TABLE (id bigint, expires_on date)
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
        -- From one workspace to the next by the index: there may be thousands, of millions of events.
        EXECUTE format('SELECT e.workspace FROM ONLY %s e WHERE $1 IS NULL OR e.workspace > $1 ORDER BY e.workspace, e.occurred_at, e.id LIMIT 1',
                       partition) INTO space USING space;
        EXIT WHEN space IS NULL OR missing <= 0;
        retention := coalesce((SELECT w.retention FROM audit.workspace w WHERE w.workspace = space), audit.default_retention());
        first_day := audit.midnight(audit.first_kept_day(retention, audit.today()));
        RETURN QUERY EXECUTE format(
            'SELECT e.id, audit.expires_on(e.occurred_at, $1) FROM ONLY %s e WHERE e.workspace = $2 AND e.occurred_at >= $3 LIMIT $4',
            partition) USING retention, space, first_day, missing;
        GET DIAGNOSTICS found = ROW_COUNT;
        missing := missing - found;
        held := audit.held_condition(space);
        IF held IS NOT NULL AND missing > 0 THEN
            RETURN QUERY EXECUTE format(
                'SELECT e.id, ''infinity''::date FROM ONLY %s e WHERE e.workspace = $1 AND e.occurred_at < $2 AND %s LIMIT $3',
                partition, held) USING space, first_day, missing;
            GET DIAGNOSTICS found = ROW_COUNT;
            missing := missing - found;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit.kept_rows(regclass, bigint) IS
    'Events of a due partition that must stay, at most max_rows of them, and until when: by the retention in force now, or a legal hold (infinity)';

CREATE FUNCTION audit.is_sealed(partition regclass) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format('SELECT NOT EXISTS ('
                   'SELECT FROM ONLY %s e LEFT JOIN audit.sealer s ON true '
                   'WHERE s.sealed IS NULL OR e.id > s.ids_after AND e.xid >= pg_snapshot_xmax(s.sealed) '
                   'OR e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(s.sealed))))',
                   partition) INTO found;
    RETURN found;
END
$$;
COMMENT ON FUNCTION audit.is_sealed(regclass) IS 'Whether every event of a partition has its leaf';

CREATE FUNCTION audit.is_judged(partition regclass) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT partition IN (SELECT d.partition FROM audit.due_partitions() d)
       AND NOT EXISTS (SELECT FROM audit.kept_rows(is_judged.partition, 1))
$$;
COMMENT ON FUNCTION audit.is_judged(regclass) IS 'Whether a partition is due and holds nothing that must stay';

CREATE FUNCTION audit.create_partitions(days date[]) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT audit.create_partition(d.month)
    FROM (SELECT DISTINCT date_trunc('month', day::timestamp)::date AS month FROM unnest(days) day WHERE day < 'infinity') d
    WHERE to_regclass('audit.event_' || to_char(d.month, 'YYYY_MM')) IS NULL
$$;
COMMENT ON FUNCTION audit.create_partitions(date[]) IS 'Makes the partitions for events that expire on these days, where they are missing';

CREATE FUNCTION audit.move_kept_rows(partition regclass, max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ids bigint[];
    days date[];
BEGIN
    SELECT array_agg(k.id), array_agg(k.expires_on) INTO ids, days FROM audit.kept_rows(partition, max_rows) k;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    IF 'infinity' = ANY (days) THEN
        PERFORM audit.create_held_partition();
    END IF;
    PERFORM audit.create_partitions(days);
    INSERT INTO audit.moved_from AS m (partition, last_move)
    VALUES ((SELECT c.relname FROM pg_class c WHERE c.oid = move_kept_rows.partition), pg_current_xact_id())
    ON CONFLICT ON CONSTRAINT moved_from_pkey DO UPDATE SET last_move = excluded.last_move;
    RETURN audit.move_events(partition, ids, days);
END
$$;
COMMENT ON FUNCTION audit.move_kept_rows(regclass, bigint) IS
    'Moves what must stay from a due partition to later ones, at most max_rows; how many were moved';

CREATE FUNCTION audit.is_still_read(partition regclass) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A snapshot from before the move's commit has an xmin at or before the move. Slots and walsenders stand for standbys.
    SELECT EXISTS (
        SELECT FROM audit.moved_from m JOIN pg_class c ON c.relname = m.partition
        WHERE c.oid = is_still_read.partition
          AND (m.last_move = pg_current_xact_id_if_assigned()
               OR age(m.last_move::xid) <= (
                   SELECT max(age(o.xmin))
                   FROM (SELECT a.backend_xmin AS xmin FROM pg_stat_activity a
                         WHERE (a.datname = current_database() OR a.datname IS NULL) AND a.pid <> pg_backend_pid()
                         UNION ALL SELECT r.xmin FROM pg_replication_slots r) o
                   WHERE o.xmin IS NOT NULL)))
$$;
COMMENT ON FUNCTION audit.is_still_read(regclass) IS
    'Whether someone may still read by a snapshot from before events were moved out of a partition';

CREATE FUNCTION audit.drop_partition(partition regclass) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    name text := (SELECT c.relname FROM pg_class c WHERE c.oid = partition);
    space record;
    ranges jsonb;
    counts jsonb := '[]';
    events bigint := 0;
    tombstone bigint;
BEGIN
    -- Nothing is put into a due partition any more; this makes sure of it.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', partition);
    IF NOT audit.is_judged(partition) OR NOT audit.is_sealed(partition) THEN
        RETURN NULL;
    END IF;
    FOR space IN EXECUTE format(
        'SELECT e.workspace, count(*) AS events, min(e.id) AS first_id, max(e.id) AS last_id, '
        'min(e.occurred_at) AS first_time, max(e.occurred_at) AS last_time, array_agg(e.id) AS ids '
        'FROM ONLY %s e GROUP BY e.workspace ORDER BY e.workspace', partition)
    LOOP
        ranges := (SELECT jsonb_agg(jsonb_build_array(r.first, r.beyond)) FROM audit.leaf_ranges(space.workspace, space.ids) r);
        counts := counts || jsonb_build_array(to_jsonb(space) - 'ids' || jsonb_build_object('leaves', ranges));
        events := events + space.events;
    END LOOP;
    tombstone := audit.append('partition_dropped', workspace => 'audit', actor => audit.maintainer(), target => 'partition:' || name,
                              details => jsonb_build_object('partition', name, 'events', events, 'workspaces', counts));
    INSERT INTO audit.removal (workspace, first, beyond, event_id)
    SELECT w.value->>'workspace', (r.value->>0)::bigint, (r.value->>1)::bigint, tombstone
    FROM jsonb_array_elements(counts) w, jsonb_array_elements(w.value->'leaves') r;
    -- From here to the commit no query begins; appends do not ask for these locks.
    LOCK TABLE ONLY audit.event IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('DROP TABLE %s', partition);
    DELETE FROM audit.moved_from m WHERE m.partition = name;
    RETURN events;
END
$$;
COMMENT ON FUNCTION audit.drop_partition(regclass) IS
    'Drops a due partition that holds nothing that must stay, and leaves an event with what was in it; NULL where something must stay (SQLSTATE 55P03 where a lock is not to be had)';

CREATE FUNCTION audit.remove_shortened(space text, max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    retention interval := (SELECT w.retention FROM audit.workspace w WHERE w.workspace = space);
    first_day date := audit.first_kept_day(retention, audit.today());
    removed bigint;
BEGIN
    -- What expires this month by its first retention goes with its partition.
    removed := audit.remove_oldest(
        space, 'retention was shortened', 'audit.event', first_day,
        format('e.expires_on >= %L AND e.expires_on < ''infinity''', audit.today()), max_rows);
    IF removed < max_rows THEN
        PERFORM audit.settle_bounds(space, first_day);
    END IF;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION audit.remove_shortened(text, bigint) IS
    'Removes events of a workspace that a shorter retention has made due before their partition is, at most max_rows; how many';

CREATE FUNCTION audit.settle_bounds(space text, first_day date) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    setting audit.workspace := (SELECT w FROM audit.workspace w WHERE w.workspace = space);
    days record := audit.length_in_days(setting.retention);
BEGIN
    UPDATE audit.workspace w SET removed_before = first_day WHERE w.workspace = space;
    -- Once nothing is left of the time before, every event was given the retention in force.
    IF setting.settled_at > '-infinity' AND NOT EXISTS (
        SELECT FROM audit.event e WHERE e.workspace = space AND e.occurred_at < setting.settled_at + interval '1 day'
    ) THEN
        UPDATE audit.workspace w
        SET shortest_days = days.shortest - 1, longest_days = days.longest + 1, settled_at = '-infinity' WHERE w.workspace = space;
    END IF;
END
$$;
COMMENT ON FUNCTION audit.settle_bounds(text, date) IS
    'Notes that nothing before a day is left to remove, and narrows where events of the workspace can be';

CREATE FUNCTION audit.maintainer() RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(nullif(current_setting('audit.actor', true), ''), 'system:maintenance') $$;
COMMENT ON FUNCTION audit.maintainer() IS 'Who runs maintenance: audit.actor of the session, or the system itself';

CREATE FUNCTION audit.remove_oldest(space text, reason text, source text, first_day date, condition text, max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    batch record;
    gone bigint[];
    ids bigint[] := '{}';
    first_time timestamptz;
    last_time timestamptz;
    ranges jsonb;
    tombstone bigint;
BEGIN
    -- Oldest first: what is left at any time is without gaps.
    FOR batch IN EXECUTE format(
        'SELECT b.partition, array_agg(b.id) AS ids, min(b.occurred_at) AS first_time, max(b.occurred_at) AS last_time FROM ('
        'SELECT e.tableoid::regclass AS partition, e.id, e.occurred_at FROM %s e '
        'WHERE e.workspace = %L AND e.occurred_at < %L AND (%s) AND (%s) IS NOT TRUE '
        'ORDER BY e.occurred_at, e.id LIMIT %s) b GROUP BY b.partition',
        source, space, audit.midnight(first_day), condition, coalesce(audit.held_condition(space), 'false'), max_rows)
    LOOP
        CONTINUE WHEN audit.remove_events(batch.partition, batch.ids) = 0;
        EXECUTE format('SELECT array_agg(i.id) FROM unnest($1) i (id) WHERE NOT EXISTS (SELECT FROM ONLY %s e WHERE e.id = i.id)',
                       batch.partition) INTO gone USING batch.ids;
        ids := ids || gone;
        first_time := least(first_time, batch.first_time);
        last_time := greatest(last_time, batch.last_time);
    END LOOP;
    IF ids = '{}' THEN
        RETURN 0;
    END IF;

    ranges := (SELECT jsonb_agg(jsonb_build_array(r.first, r.beyond)) FROM audit.leaf_ranges(space, ids) r);
    tombstone := audit.append(
        'events_removed', workspace => space, actor => audit.maintainer(), target => 'workspace:' || space,
        details => jsonb_build_object('reason', reason, 'events', cardinality(ids), 'first_id', (SELECT min(i) FROM unnest(ids) i),
                                      'last_id', (SELECT max(i) FROM unnest(ids) i), 'first_time', first_time, 'last_time', last_time,
                                      'leaves', ranges));
    INSERT INTO audit.removal (workspace, first, beyond, event_id)
    SELECT space, (r.value->>0)::bigint, (r.value->>1)::bigint, tombstone FROM jsonb_array_elements(ranges) r;
    RETURN cardinality(ids);
END
$$;
COMMENT ON FUNCTION audit.remove_oldest(text, text, text, date, text, bigint) IS
    'Removes events of a workspace that are past their retention, and that no legal hold covers, from a table as far as a condition holds, oldest first and at most max_rows, and leaves an event that tells of it; how many';

CREATE FUNCTION audit.return_released(space text, max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    held_partition regclass := to_regclass('audit.event_held');
    retention interval := coalesce((SELECT w.retention FROM audit.workspace w WHERE w.workspace = space), audit.default_retention());
    batch record;
BEGIN
    IF held_partition IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format('SELECT array_agg(b.id) AS ids, array_agg(b.day) AS days FROM ('
                   'SELECT e.id, audit.expires_on(e.occurred_at, %L) AS day FROM ONLY audit.event_held e '
                   'WHERE e.workspace = %L AND e.occurred_at >= %L AND (%s) IS NOT TRUE LIMIT %s) b',
                   retention, space, audit.midnight(audit.first_kept_day(retention, audit.today())),
                   coalesce(audit.held_condition(space), 'false'), max_rows) INTO batch;
    IF batch.ids IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM audit.create_partitions(batch.days);
    RETURN audit.move_events(held_partition, batch.ids, batch.days);
END
$$;
COMMENT ON FUNCTION audit.return_released(text, bigint) IS
    'Moves events from audit.event_held that are within retention, and that no legal hold covers any more, to the month they expire in, at most max_rows; how many';

CREATE FUNCTION audit.remove_released(space text, max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    held_partition regclass := to_regclass('audit.event_held');
    retention interval := coalesce((SELECT w.retention FROM audit.workspace w WHERE w.workspace = space), audit.default_retention());
    removed bigint := 0;
BEGIN
    IF held_partition IS NOT NULL THEN
        removed := audit.remove_oldest(space, 'a legal hold was released', 'ONLY audit.event_held',
                                       audit.first_kept_day(retention, audit.today()), 'true', max_rows);
    END IF;
    IF removed < max_rows THEN
        UPDATE audit.legal_hold h SET cleared_at = clock_timestamp()
        WHERE h.workspace = space AND h.released_at IS NOT NULL AND h.cleared_at IS NULL
          AND (held_partition IS NULL OR NOT audit.has_released(space));
    END IF;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION audit.remove_released(text, bigint) IS
    'Removes events from audit.event_held that are past their retention, and that no legal hold covers any more, at most max_rows; how many';

CREATE FUNCTION audit.has_released(space text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM ONLY audit.event_held e WHERE e.workspace = %L AND (%s) IS NOT TRUE)',
                   space, coalesce(audit.held_condition(space), 'false')) INTO found;
    RETURN found;
END
$$;
COMMENT ON FUNCTION audit.has_released(text) IS 'Whether audit.event_held holds events of a workspace that no legal hold covers any more';

CREATE FUNCTION audit.maintain(months_ahead integer DEFAULT 3, max_rows integer DEFAULT 5000)
    RETURNS TABLE (task text, object text, amount bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET lock_timeout = '100ms'
AS $$
DECLARE
    today date := audit.today();
    month date;
    job record;
    partition regclass;
    missing bigint := max_rows;
    stuck boolean := false;
    obstacle text;
    reason text;
BEGIN
    IF months_ahead IS NULL OR months_ahead NOT BETWEEN 1 AND 24 THEN
        RAISE EXCEPTION 'months_ahead is %, it must be between 1 and 24', coalesce(months_ahead::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF max_rows IS NULL OR max_rows NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'max_rows is %, it must be between 1 and 1000000', coalesce(max_rows::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'maintenance in a transaction of isolation level % would judge by what was', current_setting('transaction_isolation')
            USING ERRCODE = 'invalid_transaction_state', HINT = 'Call audit.maintain in a READ COMMITTED transaction.';
    END IF;
    -- Loads the library: before, anyone can set its settings.
    PERFORM audit.target_keys('', '{}');
    BEGIN
        LOCK TABLE audit.maintenance IN SHARE ROW EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RAISE NOTICE 'maintenance is running in another session';
        RETURN;
    END;

    -- What is removed below must have its leaf; where another session seals just now, it will have.
    BEGIN
        PERFORM audit.seal();
    EXCEPTION WHEN lock_not_available THEN
        NULL;
    WHEN OTHERS THEN
        obstacle := format('events could not be sealed: %s', SQLERRM);
    END;

    FOR month IN
        SELECT DISTINCT date_trunc('month', today + r.retention + make_interval(months => n))::date
        FROM (SELECT audit.default_retention() AS retention UNION SELECT w.retention FROM audit.workspace w) r,
             generate_series(0, months_ahead) n
        ORDER BY 1
    LOOP
        object := 'audit.event_' || to_char(month, 'YYYY_MM');
        CONTINUE WHEN to_regclass(object) IS NOT NULL;
        BEGIN
            PERFORM audit.create_partition(month);
        EXCEPTION WHEN OTHERS THEN
            obstacle := concat_ws('; ', obstacle, format('%s could not be made: %s', object, SQLERRM));
            EXIT;
        END;
        task := 'partition created';
        amount := 1;
        RETURN NEXT;
    END LOOP;
    -- Who else needs a new partition waits until this is committed: the rest is for the next call.
    stuck := task IS NOT NULL;

    -- By the minute, so that a call soon after finds nothing; what someone uses anew at this moment is not waited for.
    DELETE FROM audit.idempotency_key k WHERE k.ctid = ANY (ARRAY(
        SELECT o.ctid FROM audit.idempotency_key o WHERE o.recorded_at < date_trunc('minute', now()) - interval '48 hours'
        LIMIT max_rows FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS amount = ROW_COUNT;
    IF amount > 0 THEN
        task := 'idempotency keys removed';
        object := 'audit.idempotency_key';
        RETURN NEXT;
    END IF;

    BEGIN
        -- What is judged by stands still meanwhile, and whoever set it before is done altogether.
        IF NOT stuck THEN
            LOCK TABLE audit.workspace, audit.legal_hold IN SHARE MODE;
        END IF;
    EXCEPTION WHEN lock_not_available THEN
        obstacle := concat_ws('; ', obstacle, 'retention or a legal hold is being set in another transaction');
        stuck := true;
    END;
    IF NOT stuck THEN
        -- The clock may be behind that of the machine that appended before.
        UPDATE audit.workspace w
        SET settling_after = NULL,
            settled_at = greatest(clock_timestamp(), w.changed_at,
                                  (SELECT max(e.occurred_at) FROM audit.event e WHERE e.workspace = w.workspace))
        WHERE w.settled_at IS NULL AND w.settling_after < pg_snapshot_xmin(pg_current_snapshot());
        UPDATE audit.workspace w SET settling_after = pg_current_xact_id()
        WHERE w.settled_at IS NULL AND (w.settling_after IS NULL OR w.settling_after > pg_current_xact_id());
    END IF;

    FOR job IN
        SELECT 1 AS step, 'events moved' AS task, h.workspace AS space, NULL::regclass AS partition
        FROM (SELECT DISTINCT h.workspace FROM audit.legal_hold h WHERE h.released_at IS NOT NULL AND h.cleared_at IS NULL) h
        UNION ALL
        SELECT 2, 'events removed', h.workspace, NULL
        FROM (SELECT DISTINCT h.workspace FROM audit.legal_hold h WHERE h.released_at IS NOT NULL AND h.cleared_at IS NULL) h
        UNION ALL
        SELECT 3, 'events moved', NULL, d.partition FROM audit.due_partitions() d
        UNION ALL
        SELECT 4, 'events removed', w.workspace, NULL FROM audit.workspace w, audit.length_in_days(w.retention) d
        WHERE (w.removed_before IS NULL OR w.removed_before < audit.first_kept_day(w.retention, today))
          AND (w.longest_days > d.longest + 1 OR w.settled_at > '-infinity')
        ORDER BY 1, 4, 3
    LOOP
        EXIT WHEN stuck OR missing <= 0;
        BEGIN
            amount := CASE job.step WHEN 1 THEN audit.return_released(job.space, missing)
                                    WHEN 2 THEN audit.remove_released(job.space, missing)
                                    WHEN 3 THEN audit.move_kept_rows(job.partition, missing)
                                    ELSE audit.remove_shortened(job.space, missing) END;
        EXCEPTION WHEN OTHERS THEN
            -- Whatever it is, it must not stand in the way of the others.
            obstacle := concat_ws('; ', obstacle, format('%s could not be judged: %s', coalesce(job.partition::text, job.space), SQLERRM));
            amount := 0;
        END;
        -- Looking costs, too.
        missing := missing - amount - 10;
        IF amount > 0 THEN
            task := job.task;
            object := coalesce(job.partition::text, job.space);
            RETURN NEXT;
        END IF;
    END LOOP;

    -- Last, and one a call, because from a drop to the commit no query begins.
    FOR partition IN SELECT d.partition FROM audit.due_partitions() d LOOP
        EXIT WHEN stuck;
        object := partition::text;
        CONTINUE WHEN NOT audit.is_judged(partition);
        IF NOT audit.is_sealed(partition) THEN
            obstacle := concat_ws('; ', obstacle, format('%s holds events that have no leaf yet', object));
            CONTINUE;
        END IF;
        IF coalesce(nullif(current_setting('audit.require_archive', true), ''), 'off')::boolean AND NOT audit.is_archived(partition) THEN
            obstacle := concat_ws('; ', obstacle, format('%s is due and not archived: audit.require_archive is on', object));
            CONTINUE;
        END IF;
        IF audit.is_still_read(partition) THEN
            obstacle := concat_ws('; ', obstacle, format('%s waits for transactions that began before events were moved out of it', object));
            CONTINUE;
        END IF;
        BEGIN
            amount := audit.drop_partition(partition);
        EXCEPTION WHEN lock_not_available THEN
            obstacle := concat_ws('; ', obstacle, format('%s is due and could not be dropped: someone reads audit.event for long', object));
            amount := NULL;
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
            obstacle := concat_ws('; ', obstacle, format('%s is due and could not be dropped: %s %s', object, SQLERRM, reason));
            amount := NULL;
        END;
        IF amount IS NOT NULL THEN
            task := 'partition dropped';
            RETURN NEXT;
            EXIT;
        END IF;
    END LOOP;
    obstacle := left(obstacle, 2000);

    IF obstacle IS NOT NULL THEN
        RAISE WARNING 'audit log maintenance: %', obstacle USING HINT = 'The next run tries again.';
    END IF;
    INSERT INTO audit.maintenance AS m (last_run_at, waiting_for, waiting_since)
    VALUES (clock_timestamp(), obstacle, CASE WHEN obstacle IS NOT NULL THEN clock_timestamp() END)
    ON CONFLICT ON CONSTRAINT maintenance_pkey DO UPDATE
    SET last_run_at = excluded.last_run_at, waiting_for = excluded.waiting_for,
        waiting_since = CASE WHEN excluded.waiting_for IS NULL THEN NULL ELSE coalesce(m.waiting_since, excluded.waiting_since) END;
END
$$;
COMMENT ON FUNCTION audit.maintain(integer, integer) IS
    'Does what is due, for at most max_rows events, and returns a row per thing done: call it again until there is none. What is in its way is a warning and in audit.status(), not an error; where another session runs it, it does nothing (SQLSTATE 22023, 25000 where the transaction is not READ COMMITTED)';

CREATE FUNCTION audit.status() RETURNS TABLE (name text, ok boolean, value text, hint text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    run audit.maintenance := (SELECT m FROM audit.maintenance m);
    due text[] := ARRAY(SELECT c.relname::text FROM audit.due_partitions() d JOIN pg_class c ON c.oid = d.partition ORDER BY 1);
    ahead regclass := to_regclass('audit.event_' || to_char(audit.today() + audit.default_retention() + interval '1 month', 'YYYY_MM'));
    unsettled bigint := (SELECT count(*) FROM audit.workspace w WHERE w.settled_at IS NULL);
    sealed pg_snapshot := (SELECT s.sealed FROM audit.sealer s);
    waits_since timestamptz := (SELECT e.recorded_at FROM audit.event e WHERE e.xid >= pg_snapshot_xmax(sealed) ORDER BY e.xid LIMIT 1);
BEGIN
    RETURN QUERY VALUES
        ('maintenance', coalesce(run.last_run_at > now() - interval '1 day', false),
         coalesce('last run ' || run.last_run_at, 'has never run'),
         'Preload the library or schedule SELECT audit.maintain().'),
        ('maintenance waits', run.waiting_for IS NULL, coalesce(run.waiting_for || ', since ' || run.waiting_since, 'no'),
         'End the session that reads for so long, or archive what is due.'),
        ('partitions ahead', ahead IS NOT NULL, coalesce(ahead::text, 'none for the coming month'),
         'audit.maintain makes them; without, an append makes its own.'),
        ('due partitions', coalesce(due[1] >= 'event_' || to_char(audit.today() - 3, 'YYYY_MM'), true),
         cardinality(due)::text, 'What is in them is hidden and waits for maintenance.'),
        ('sealing', coalesce(waits_since > now() - interval '1 minute', sealed IS NOT NULL),
         CASE WHEN sealed IS NULL THEN 'has never run' ELSE coalesce('events wait for their leaf since ' || waits_since, 'done') END,
         'Preload the library, run the sidecar with a signing key, or schedule SELECT audit.seal().'),
        ('legal holds', true, (SELECT count(*) FROM audit.legal_hold h WHERE h.released_at IS NULL)::text, NULL),
        ('retention changes', true, unsettled || ' not settled yet', NULL);
END
$$;
COMMENT ON FUNCTION audit.status() IS
    'How the log gets on, a row per point: ok tells whether someone has to look, hint what to do then';
