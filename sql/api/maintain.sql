-- What is done as time goes by: partitions for the coming months, and what is past its retention (sql/internal/maintenance.sql).
-- Each call does a bounded amount of work in one transaction; who wants all of it done calls until no row comes back. Appends wait
-- for none of it.

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

CREATE FUNCTION audit.maintain(months_ahead integer DEFAULT 3, max_rows integer DEFAULT 5000)
    RETURNS TABLE (task text, object text, amount bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET lock_timeout = '100ms'
AS $$
DECLARE
    month date;
    job record;
    partition regclass;
    missing bigint := max_rows;
    known oid[];
    stuck boolean := false;
    obstacle text;
    reason text;
BEGIN
    IF months_ahead IS NULL OR months_ahead NOT BETWEEN 1 AND 24 THEN
        RAISE EXCEPTION 'months_ahead is %, it must be between 1 and 24', coalesce(months_ahead::text, 'NULL')
            USING ERRCODE = 'ZA003';
    END IF;
    IF max_rows IS NULL OR max_rows NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'max_rows is %, it must be between 1 and 1000000', coalesce(max_rows::text, 'NULL')
            USING ERRCODE = 'ZA003';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'maintenance in a transaction of isolation level % would judge by what was', current_setting('transaction_isolation')
            USING ERRCODE = 'invalid_transaction_state', HINT = 'Call audit.maintain in a READ COMMITTED transaction.';
    END IF;
    -- Loads the library: before, anyone can set its settings.
    PERFORM audit_internal.target_keys('', '{}');
    BEGIN
        LOCK TABLE audit.maintenance IN SHARE ROW EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RAISE NOTICE 'maintenance is running in another session';
        RETURN;
    END;

    -- The caller's transaction may have looked at who is there before others came.
    PERFORM pg_stat_clear_snapshot();

    -- What is removed below must have its leaf. A sealer would wait until this transaction ends; without one nobody does.
    BEGIN
        IF audit_internal.has_sealer() THEN
            NULL;
        ELSIF (SELECT s.heads_recorded_at > clock_timestamp() - interval '70 seconds' FROM audit_internal.sealer s) THEN
            PERFORM audit.seal();
        ELSE
            PERFORM audit.record_heads();
        END IF;
    EXCEPTION WHEN lock_not_available THEN
        NULL;
    WHEN OTHERS THEN
        obstacle := format('events could not be sealed: %s', SQLERRM);
    END;

    FOR month IN
        SELECT DISTINCT date_trunc('month', audit_internal.today() + r.retention + make_interval(months => n))::date
        FROM (SELECT audit_internal.default_retention() AS retention UNION SELECT w.retention FROM audit.workspace w) r,
             generate_series(0, months_ahead) n
        ORDER BY 1
    LOOP
        object := 'audit_internal.' || audit_internal.partition_name(month);
        CONTINUE WHEN to_regclass(object) IS NOT NULL;
        BEGIN
            PERFORM audit_internal.create_partition(month);
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

    amount := audit_internal.forget_idempotency_keys(max_rows);
    IF amount > 0 THEN
        task := 'idempotency keys removed';
        object := 'audit_internal.idempotency_key';
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
        PERFORM audit_internal.settle_retentions();
    END IF;

    known := ARRAY(SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'audit.event'::regclass);
    FOR job IN SELECT * FROM audit_internal.maintenance_jobs() j ORDER BY j.step, j.partition, j.space LOOP
        EXIT WHEN stuck OR missing <= 0;
        BEGIN
            amount := CASE job.step WHEN 1 THEN audit_internal.return_released(job.space, missing)
                                    WHEN 2 THEN audit_internal.remove_released(job.space, missing)
                                    WHEN 3 THEN audit_internal.move_kept_rows(job.partition, missing)
                                    ELSE audit_internal.remove_shortened(job.space, missing) END;
        EXCEPTION WHEN OTHERS THEN
            -- Whatever it is, it must not stand in the way of the others.
            obstacle := concat_ws('; ', obstacle, format('%s could not be judged: %s', coalesce(job.partition::text, job.space), SQLERRM));
            amount := 0;
        END;
        IF amount IS NULL THEN
            FOR object IN
                SELECT i.inhrelid::regclass FROM pg_inherits i WHERE i.inhparent = 'audit.event'::regclass AND i.inhrelid <> ALL (known) ORDER BY 1
            LOOP
                task := 'partition created';
                amount := 1;
                RETURN NEXT;
            END LOOP;
            stuck := true;
            EXIT;
        END IF;
        -- Looking costs, too.
        missing := missing - amount - 10;
        IF amount > 0 THEN
            task := job.task;
            object := coalesce(job.partition::text, job.space);
            RETURN NEXT;
        END IF;
    END LOOP;

    -- Last, and one a call, because from a drop to the commit no query begins.
    FOR partition IN SELECT d.partition FROM audit_internal.due_partitions() d LOOP
        EXIT WHEN stuck;
        object := partition::text;
        CONTINUE WHEN NOT audit_internal.is_judged(partition);
        reason := audit_internal.obstacle_to_drop(partition);
        IF reason IS NOT NULL THEN
            obstacle := concat_ws('; ', obstacle, reason);
            CONTINUE;
        END IF;
        BEGIN
            amount := audit_internal.drop_partition(partition);
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
    'Does what is due, for at most max_rows events, and returns a row per thing done: call it again until there is none. What is in its way is a warning and in audit.status(), not an error; where another session runs it, it does nothing (SQLSTATE ZA003, 25000 where the transaction is not READ COMMITTED)';
