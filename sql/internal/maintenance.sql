-- The steps of audit.maintain, in their order. Each step takes the state of the run and returns it with its own work added. A
-- step that cannot continue notes an obstacle, and the other steps do their work.

CREATE TYPE audit_internal.maintenance_task AS (
    task text,
    object text,
    amount bigint
);
COMMENT ON TYPE audit_internal.maintenance_task IS 'Work that a run of maintenance has done, as audit.maintain returns it';

CREATE TYPE audit_internal.maintenance_run AS (
    done audit_internal.maintenance_task[],
    obstacles text[],
    is_stuck boolean
);
COMMENT ON TYPE audit_internal.maintenance_run IS
    'State of a run of maintenance. It says which work is done, which obstacles there were, and whether events must stay in place until the next run.';

CREATE FUNCTION audit_internal.check_maintenance(months_ahead integer, max_rows integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF months_ahead IS NULL OR months_ahead NOT BETWEEN 1 AND 24 THEN
        RAISE EXCEPTION 'months_ahead is %, but it must be between 1 and 24', coalesce(months_ahead::text, 'NULL')
            USING ERRCODE = 'ZA003';
    END IF;
    IF max_rows IS NULL OR max_rows NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'max_rows is %, but it must be between 1 and 1000000', coalesce(max_rows::text, 'NULL')
            USING ERRCODE = 'ZA003';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'audit.maintain() cannot run in a % transaction', upper(current_setting('transaction_isolation') COLLATE "C")
            USING ERRCODE = 'invalid_transaction_state', HINT = 'Call audit.maintain() in a READ COMMITTED transaction.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.check_maintenance(integer, integer) IS
    'Refuses arguments and transactions that audit.maintain cannot work with (SQLSTATE ZA003, 25000)';

CREATE FUNCTION audit_internal.begin_maintenance() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- This call loads the library. Until it is loaded, any role can set its settings.
    PERFORM audit_internal.networks('{}');
    BEGIN
        LOCK TABLE audit.maintenance IN SHARE ROW EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RETURN false;
    END;
    -- The caller's transaction may have a list of sessions from before others connected.
    PERFORM pg_stat_clear_snapshot();
    RETURN true;
END
$$;
COMMENT ON FUNCTION audit_internal.begin_maintenance() IS
    'Prevents other sessions from running maintenance until this transaction ends. Returns false if one of them already runs it.';

CREATE FUNCTION audit_internal.seal_for_maintenance(INOUT run audit_internal.maintenance_run)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Events must have leaves before a later step removes them. If a sealer runs, waiting for it would last until this
    -- transaction ends. If none runs, this step seals.
    IF audit_internal.has_sealer() THEN
        NULL;
    ELSIF (SELECT s.heads_recorded_at BETWEEN clock_timestamp() - interval '70 seconds' AND clock_timestamp() FROM audit_internal.sealer s) THEN
        PERFORM audit.seal();
    ELSE
        PERFORM audit.record_heads();
    END IF;
EXCEPTION WHEN lock_not_available THEN
    NULL;
WHEN OTHERS THEN
    run.obstacles := array_append(run.obstacles, format('events could not be sealed: %s', SQLERRM));
END
$$;
COMMENT ON FUNCTION audit_internal.seal_for_maintenance(audit_internal.maintenance_run) IS
    'Seals if no background worker does. Records heads if none were recorded for 70 seconds.';

CREATE FUNCTION audit_internal.check_clock(INOUT run audit_internal.maintenance_run)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM audit_internal.watch_clock();
    IF audit_internal.clock_has_jumped() THEN
        RAISE NOTICE 'maintenance removes no events, because the clock has jumped'
            USING HINT = 'To see what to do, run SELECT * FROM audit.status() WHERE NOT ok.';
        run.is_stuck := true;
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.check_clock(audit_internal.maintenance_run) IS
    'Keeps all events in place if the clock has jumped';

CREATE FUNCTION audit_internal.prepared_transactions(tables regclass[], harmless_modes text[]) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A prepared transaction has no session. Its lock on its own id tells which locks are its own.
    SELECT CASE WHEN count(*) = 0 THEN ''
                ELSE format(' (prepared, so no session can end it; run COMMIT PREPARED or ROLLBACK PREPARED: %s)',
                            left(string_agg(DISTINCT quote_literal(p.gid), ', '), 500)) END
    FROM pg_prepared_xacts p
    JOIN pg_locks own ON own.locktype = 'transactionid' AND own.transactionid = p.transaction AND own.mode = 'ExclusiveLock'
    JOIN pg_locks l ON l.virtualtransaction = own.virtualtransaction AND l.pid IS NULL
    WHERE l.relation = ANY (tables) AND l.mode <> ALL (harmless_modes)
      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
$$;
COMMENT ON FUNCTION audit_internal.prepared_transactions(regclass[], text[]) IS
    'Returns the prepared transactions that lock one of the tables in other modes than the harmless ones, as an addition to an obstacle, or an empty text';

CREATE FUNCTION audit_internal.create_coming_partitions(INOUT run audit_internal.maintenance_run, months_ahead integer)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    month date;
    name text;
BEGIN
    FOR month IN
        SELECT DISTINCT m.month
        FROM (SELECT audit_internal.default_retention() AS retention UNION SELECT w.retention FROM audit.workspace w) r,
             audit_internal.missing_months(r.retention, months_ahead) m
        ORDER BY 1
    LOOP
        name := 'audit_internal.' || audit_internal.partition_name(month);
        BEGIN
            PERFORM audit_internal.create_partition(month);
        EXCEPTION WHEN lock_not_available THEN
            run.obstacles := array_append(
                run.obstacles, format('%s could not be created: another transaction locks audit.event%s', name,
                                      audit_internal.prepared_transactions('{audit.event}', '{AccessShareLock, RowShareLock, RowExclusiveLock}')));
            EXIT;
        WHEN OTHERS THEN
            run.obstacles := array_append(run.obstacles, format('%s could not be created: %s', name, SQLERRM));
            EXIT;
        END;
        run.done := array_append(run.done, ('partition created', name, 1)::audit_internal.maintenance_task);
        -- Sessions that need a new partition wait until this transaction commits, so the remaining work is left to the next call.
        run.is_stuck := true;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit_internal.create_coming_partitions(audit_internal.maintenance_run, integer) IS
    'Creates the partitions for events that will expire in the coming months under the retentions in force';

CREATE FUNCTION audit_internal.remove_idempotency_keys(INOUT run audit_internal.maintenance_run, max_rows bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    amount bigint := audit_internal.forget_idempotency_keys(max_rows);
BEGIN
    IF amount > 0 THEN
        run.done := array_append(run.done, ('idempotency keys removed', 'audit_internal.idempotency_key', amount)::audit_internal.maintenance_task);
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.remove_idempotency_keys(audit_internal.maintenance_run, bigint) IS
    'Removes idempotency keys that are older than 48 hours, at most max_rows';

CREATE FUNCTION audit_internal.keep_settings_still(INOUT run audit_internal.maintenance_run)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF run.is_stuck THEN
        RETURN;
    END IF;
    BEGIN
        -- The lock keeps retentions and legal holds unchanged during the run. It waits for sessions that have set one.
        LOCK TABLE audit.workspace, audit.legal_hold IN SHARE MODE;
    EXCEPTION WHEN lock_not_available THEN
        run.obstacles := array_append(
            run.obstacles, 'another transaction is setting a retention or a legal hold'
                           || audit_internal.prepared_transactions('{audit.workspace, audit.legal_hold}', '{AccessShareLock, RowShareLock, ShareLock}'));
        run.is_stuck := true;
        RETURN;
    END;
    PERFORM audit_internal.settle_retentions();
END
$$;
COMMENT ON FUNCTION audit_internal.keep_settings_still(audit_internal.maintenance_run) IS
    'Locks retentions and legal holds against changes, and settles retentions that every transaction knows of';

CREATE FUNCTION audit_internal.maintenance_jobs() RETURNS TABLE (step integer, task text, space text, partition regclass)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT s.step, s.task, h.workspace, NULL::regclass
    FROM (SELECT DISTINCT h.workspace FROM audit.legal_hold h WHERE h.released_at IS NOT NULL AND h.cleared_at IS NULL) h,
         (VALUES (1, 'events moved'), (2, 'events removed')) s (step, task);
    RETURN QUERY SELECT 3, 'events moved', NULL::text, d.partition FROM audit_internal.due_partitions() d;
    RETURN QUERY
    SELECT 4, 'events removed', w.workspace, NULL::regclass
    FROM audit.workspace w, audit_internal.length_in_days(w.retention) d
    WHERE (w.removed_before IS NULL OR w.removed_before < audit_internal.first_kept_day(w.retention, audit_internal.today()))
      AND (w.longest_days > d.longest + 1 OR w.settled_at > '-infinity');
END
$$;
COMMENT ON FUNCTION audit_internal.maintenance_jobs() IS
    'Returns the workspaces and partitions that may have events to move or remove, in the order of the steps. Events of released holds are moved back (1) or removed (2). Events that must stay leave due partitions (3). Events that a shorter retention made due are removed (4).';

CREATE FUNCTION audit_internal.do_maintenance_jobs(INOUT run audit_internal.maintenance_run, max_rows bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known oid[] := ARRAY(SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'audit.event'::regclass);
    missing bigint := max_rows;
    job record;
    amount bigint;
BEGIN
    FOR job IN SELECT * FROM audit_internal.maintenance_jobs() j ORDER BY j.step, j.partition, j.space LOOP
        EXIT WHEN run.is_stuck OR missing <= 0;
        BEGIN
            amount := CASE job.step WHEN 1 THEN audit_internal.return_released(job.space, missing)
                                    WHEN 2 THEN audit_internal.remove_released(job.space, missing)
                                    WHEN 3 THEN audit_internal.move_kept_rows(job.partition, missing)
                                    ELSE audit_internal.remove_shortened(job.space, missing) END;
        EXCEPTION WHEN OTHERS THEN
            -- An error in one job must not prevent the others.
            run.obstacles := array_append(
                run.obstacles, format('events of %s could not be moved or removed: %s', coalesce(job.partition::text, job.space), SQLERRM));
            amount := 0;
        END;
        IF amount IS NULL THEN
            run := audit_internal.note_new_partitions(run, known);
        ELSIF amount > 0 THEN
            run.done := array_append(
                run.done, (job.task, coalesce(job.partition::text, job.space), amount)::audit_internal.maintenance_task);
        END IF;
        -- A job without events costs time, too.
        missing := missing - amount - 10;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit_internal.do_maintenance_jobs(audit_internal.maintenance_run, bigint) IS
    'Moves and removes events, at most max_rows. Stops early if no events are left to move or remove, or if a partition had to be created first.';

CREATE FUNCTION audit_internal.note_new_partitions(INOUT run audit_internal.maintenance_run, known oid[])
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN
        SELECT i.inhrelid::regclass FROM pg_inherits i WHERE i.inhparent = 'audit.event'::regclass AND i.inhrelid <> ALL (known) ORDER BY 1
    LOOP
        run.done := array_append(run.done, ('partition created', partition::text, 1)::audit_internal.maintenance_task);
    END LOOP;
    run.is_stuck := true;
END
$$;
COMMENT ON FUNCTION audit_internal.note_new_partitions(audit_internal.maintenance_run, oid[]) IS
    'Notes the partitions that were created in addition to the known ones. Sessions that need one of them wait until this transaction commits.';

CREATE FUNCTION audit_internal.drop_a_due_partition(INOUT run audit_internal.maintenance_run)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    partition regclass;
    name text;
    reason text;
    amount bigint;
BEGIN
    -- Each call drops one partition, because no query can begin between a drop and the commit.
    FOR partition IN SELECT d.partition FROM audit_internal.due_partitions() d LOOP
        EXIT WHEN run.is_stuck;
        name := partition::text;
        CONTINUE WHEN NOT audit_internal.is_removable(partition);
        reason := audit_internal.obstacle_to_drop(partition);
        IF reason IS NOT NULL THEN
            run.obstacles := array_append(run.obstacles, reason);
            CONTINUE;
        END IF;
        amount := NULL;
        BEGIN
            amount := audit_internal.drop_partition(partition);
        EXCEPTION WHEN lock_not_available THEN
            run.obstacles := array_append(
                run.obstacles, format('%s is due but could not be dropped: a long-running transaction reads audit.event%s', name,
                                             audit_internal.prepared_transactions('{audit.event}', '{}')));
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
            run.obstacles := array_append(run.obstacles, format('%s is due but could not be dropped: %s %s', name, SQLERRM, reason));
        END;
        IF amount IS NOT NULL THEN
            run.done := array_append(run.done, ('partition dropped', name, amount)::audit_internal.maintenance_task);
            EXIT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit_internal.drop_a_due_partition(audit_internal.maintenance_run) IS
    'Drops the oldest due partition that holds no event that must stay, unless an obstacle prevents it';

CREATE FUNCTION audit_internal.end_maintenance(run audit_internal.maintenance_run) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    obstacle text := left(nullif(array_to_string(run.obstacles, '; '), ''), 2000);
BEGIN
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
COMMENT ON FUNCTION audit_internal.end_maintenance(audit_internal.maintenance_run) IS
    'Raises a warning about obstacles, and records the run in audit.maintenance';
