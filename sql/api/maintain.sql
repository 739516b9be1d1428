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
    run audit_internal.maintenance_run := ('{}', '{}', false)::audit_internal.maintenance_run;
BEGIN
    PERFORM audit_internal.check_maintenance(months_ahead, max_rows);
    IF NOT audit_internal.begin_maintenance() THEN
        RAISE NOTICE 'maintenance is running in another session';
        RETURN;
    END IF;
    run := audit_internal.seal_for_maintenance(run);
    run := audit_internal.create_coming_partitions(run, months_ahead);
    run := audit_internal.remove_idempotency_keys(run, max_rows);
    run := audit_internal.keep_settings_still(run);
    run := audit_internal.do_maintenance_jobs(run, max_rows);
    run := audit_internal.drop_a_due_partition(run);
    PERFORM audit_internal.end_maintenance(run);
    RETURN QUERY SELECT d.task, d.object, d.amount FROM unnest(run.done) d;
END
$$;
COMMENT ON FUNCTION audit.maintain(integer, integer) IS
    'Does what is due, for at most max_rows events, and returns a row per thing done: call it again until there is none. What is in its way is a warning and in audit.status(), not an error; where another session runs it, it does nothing (SQLSTATE ZA003, 25000 where the transaction is not READ COMMITTED)';
