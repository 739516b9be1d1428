-- Health checks for the operator.

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
    missing text := (SELECT audit_internal.partition_name(min(m.month))
                     FROM (SELECT audit_internal.default_retention() AS retention UNION SELECT w.retention FROM audit.workspace w) r,
                          audit_internal.missing_months(r.retention, 1) m);
    failed text := (SELECT string_agg(format('%s: %s, at %s', f.partition, f.problem, f.failed_at), '; ' ORDER BY f.partition)
                    FROM audit_internal.archive_failure f);
    has_jumped boolean := audit_internal.clock_has_jumped();
    unsettled bigint := (SELECT count(*) FROM audit.workspace w WHERE w.settled_at IS NULL);
    has_events boolean := EXISTS (SELECT FROM audit.event);
    sealer audit_internal.sealer := (SELECT s FROM audit_internal.sealer s);
    -- Events from a restore can have transaction ids that are still in the future here.
    upcoming xid8 := audit_internal.next_transaction_id();
    waits_since timestamptz := (SELECT e.recorded_at FROM audit.event e
                                WHERE e.xid >= pg_snapshot_xmax(sealer.sealed) AND e.xid < upcoming AND e.id > sealer.ids_after
                                ORDER BY e.xid LIMIT 1);
BEGIN
    RETURN QUERY SELECT c.name, c.ok, c.value, CASE WHEN NOT c.ok THEN c.hint END FROM (VALUES
        ('maintenance', coalesce(run.last_run_at BETWEEN now() - interval '1 day' AND now() + interval '1 day', false),
         coalesce('last run ' || run.last_run_at, 'has never run'),
         audit_internal.worker_hint('audit.maintenance_interval', run.last_run_at IS NOT NULL, true)),
        ('maintenance waits', run.waiting_for IS NULL, coalesce(run.waiting_for || ', since ' || run.waiting_since, 'no'),
         'Remove what the value names: end a transaction that is in the way, also a prepared one (pg_prepared_xacts), or archive the due partitions.'),
        ('clock', NOT has_jumped,
         CASE WHEN has_jumped THEN 'has moved from ' || audit_internal.trusted_time() || ' to ' || now() || ', so maintenance removes no events'
              ELSE 'trusted' END,
         'If the clock is wrong, correct it. If it is right, call audit.confirm_clock(reason).'),
        ('partitions ahead', missing IS NULL, coalesce('audit_internal.' || missing || ' is missing', 'present for this month and the next'),
         'Call audit.maintain() to create them. Otherwise an append creates the partition that it needs.'),
        ('due partitions', coalesce(due[1] >= audit_internal.partition_name(audit_internal.today() - 3), true),
         cardinality(due)::text, 'Call audit.maintain() until it returns no row. Until then, queries hide the expired events.'),
        ('archive', failed IS NULL, coalesce(failed, 'no failure'),
         'Correct the cause, and run audit-sidecar archive again. It writes the whole partition anew.'),
        ('sealing', coalesce(waits_since BETWEEN now() - interval '5 minutes' AND now() + interval '5 minutes', sealer.sealed IS NOT NULL),
         CASE WHEN sealer.sealed IS NULL THEN 'has never run' ELSE coalesce('events have been waiting for a leaf since ' || waits_since, 'done') END,
         audit_internal.worker_hint('audit.seal_interval', sealer.sealed IS NOT NULL, has_events)),
        ('heads', coalesce(sealer.heads_recorded_at BETWEEN now() - interval '5 minutes' AND now() + interval '5 minutes', false),
         coalesce('recorded ' || sealer.heads_recorded_at, 'have never been recorded'),
         audit_internal.worker_hint('audit.seal_interval', sealer.heads_recorded_at IS NOT NULL, has_events)),
        ('legal holds', true, (SELECT count(*) FROM audit.legal_hold h WHERE h.released_at IS NULL)::text, NULL),
        ('retention changes', true, unsettled || ' not settled yet', NULL)
    UNION ALL SELECT 'sealing turns', t.ok, t.value, t.hint FROM audit_internal.describe_turns() t
    UNION ALL SELECT 'roles', r.ok, r.value, r.hint FROM audit_internal.describe_roles() r
    UNION ALL SELECT 'workspace grants', g.ok, g.value, g.hint FROM audit_internal.describe_grants() g
    UNION ALL SELECT 'replication', r.ok, r.value, r.hint FROM audit_internal.describe_receiving() r
    UNION ALL SELECT v.name, v.ok, v.value, v.hint FROM audit_internal.describe_versions() v) c (name, ok, value, hint);
END
$$;
COMMENT ON FUNCTION audit.status() IS
    'Returns health checks of the audit log, one in each row. If ok is false, an operator must act as the hint says. Otherwise hint is NULL.';
