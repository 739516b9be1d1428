-- Regular maintenance: creates partitions for the coming months, and removes events past their retention
-- (sql/internal/maintenance.sql). Each call does a bounded amount of work in one transaction. Callers repeat the call until it
-- returns no row. No append waits for it.

CREATE TABLE audit.maintenance (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    last_run_at timestamptz NOT NULL,
    waiting_for text,
    waiting_since timestamptz
);
COMMENT ON TABLE audit.maintenance IS 'State of maintenance: one row, which the first run creates. audit.status() explains it.';
COMMENT ON COLUMN audit.maintenance.one IS 'Limits the table to one row';
COMMENT ON COLUMN audit.maintenance.last_run_at IS 'Time at which audit.maintain last completed';
COMMENT ON COLUMN audit.maintenance.waiting_for IS 'Work that the last run could not do, with the reasons, or NULL if it did all';
COMMENT ON COLUMN audit.maintenance.waiting_since IS 'Time since which runs have been hindered';

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
    IF audit_internal.is_receiving() THEN
        PERFORM audit.seal();
        RAISE NOTICE 'maintenance does nothing, because this database receives the audit log by logical replication';
        RETURN;
    END IF;
    run := audit_internal.seal_for_maintenance(run);
    run := audit_internal.check_clock(run);
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
    'Does the work that is due, for at most max_rows events, and returns a row for each task done. Call it until it returns no row. An obstacle causes a warning and appears in audit.status(). Does nothing while another session runs it, or while the audit log is received by logical replication (SQLSTATE ZA003, 25000 if the transaction is not READ COMMITTED).';
