-- What an operator looks at.

CREATE FUNCTION audit.status() RETURNS TABLE (name text, ok boolean, value text, hint text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    run audit.maintenance := (SELECT m FROM audit.maintenance m);
    due text[] := ARRAY(SELECT c.relname::text FROM audit_internal.due_partitions() d JOIN pg_class c ON c.oid = d.partition ORDER BY 1);
    ahead regclass := to_regclass('audit_internal.' || audit_internal.partition_name((audit_internal.today() + audit_internal.default_retention() + interval '1 month')::date));
    unsettled bigint := (SELECT count(*) FROM audit.workspace w WHERE w.settled_at IS NULL);
    sealer audit_internal.sealer := (SELECT s FROM audit_internal.sealer s);
    -- What came with a restore may have transaction ids that are still to come here.
    upcoming xid8 := audit_internal.next_transaction_id();
    waits_since timestamptz := (SELECT e.recorded_at FROM audit.event e
                                WHERE e.xid >= pg_snapshot_xmax(sealer.sealed) AND e.xid < upcoming AND e.id > sealer.ids_after
                                ORDER BY e.xid LIMIT 1);
BEGIN
    RETURN QUERY VALUES
        ('maintenance', coalesce(run.last_run_at > now() - interval '1 day', false),
         coalesce('last run ' || run.last_run_at, 'has never run'),
         'Preload the library or schedule SELECT audit.maintain().'),
        ('maintenance waits', run.waiting_for IS NULL, coalesce(run.waiting_for || ', since ' || run.waiting_since, 'no'),
         'End the session that reads for so long, or archive what is due.'),
        ('partitions ahead', ahead IS NOT NULL, coalesce(ahead::text, 'none for the coming month'),
         'audit.maintain makes them; without, an append makes its own.'),
        ('due partitions', coalesce(due[1] >= audit_internal.partition_name(audit_internal.today() - 3), true),
         cardinality(due)::text, 'What is in them is hidden and waits for maintenance.'),
        ('sealing', coalesce(waits_since > now() - interval '5 minutes', sealer.sealed IS NOT NULL),
         CASE WHEN sealer.sealed IS NULL THEN 'has never run' ELSE coalesce('events wait for their leaf since ' || waits_since, 'done') END,
         'Preload the library or schedule SELECT audit.maintain().'),
        ('heads', coalesce(sealer.heads_recorded_at > now() - interval '5 minutes', false),
         coalesce('recorded ' || sealer.heads_recorded_at, 'have never been recorded'),
         'Preload the library or schedule SELECT audit.maintain().'),
        ('legal holds', true, (SELECT count(*) FROM audit.legal_hold h WHERE h.released_at IS NULL)::text, NULL),
        ('retention changes', true, unsettled || ' not settled yet', NULL);
END
$$;
COMMENT ON FUNCTION audit.status() IS
    'How the log gets on, a row per point: ok tells whether someone has to look, hint what to do then';
