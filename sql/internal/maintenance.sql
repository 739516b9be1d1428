-- The steps of audit.maintain.

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
    'What may have events to move or remove, in the order of the steps: what released holds kept moves back (1) or goes (2), what must stay leaves due partitions (3), what a shorter retention made due goes (4)';
