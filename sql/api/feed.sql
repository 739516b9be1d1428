-- The feed of a workspace log: its events in the order of their leaves. That order never changes, so a reader that goes on after
-- the last leaf it has seen misses no event and sees none twice, whatever the order of commits was. Reading works on a hot standby
-- and in a READ ONLY transaction.

DO $do$
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE TYPE audit.feed_result AS (%s, cursor text, redactions jsonb, leaf bigint, hash bytea, is_removed boolean, is_missing boolean)',
        (SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', c.name, c.type), ', ' ORDER BY c.place)
         FROM audit_internal.columns() c WHERE c.place IS NOT NULL));
END
$do$;
COMMENT ON TYPE audit.feed_result IS
    'A leaf of a workspace log and its event, as audit.feed returns them. If retention has removed the event, only id, leaf and hash are known, and is_removed is true. is_missing is true if the event is gone although no removal is recorded.';

-- VOLATILE, so that each statement has a snapshot of its own. Dropping a partition disregards snapshots: with a snapshot from
-- before the drop, its events would be gone and the record of their removal would not be visible yet.
CREATE FUNCTION audit.feed(
    workspace text DEFAULT NULL,
    after_leaf bigint DEFAULT -1,
    max_rows integer DEFAULT 1000
) RETURNS SETOF audit.feed_result
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET enable_seqscan = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
DECLARE
    space text := (audit_internal.make_filters(workspace)).workspace;
    size bigint := coalesce((SELECT o.size FROM audit.log o WHERE o.workspace = space), 0);
    beyond bigint;
    leaves record;
    expiry record;
BEGIN
    IF max_rows IS NULL OR max_rows NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'max_rows is %, but it must be between 1 and 10000', coalesce(max_rows::text, 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'Pass the leaf of the last row as after_leaf to continue after it.';
    END IF;
    IF after_leaf IS NULL OR after_leaf < -1 THEN
        RAISE EXCEPTION 'after_leaf is %, but it must be -1 or a leaf', coalesce(after_leaf::text, 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'Pass -1 to begin with the first leaf, which is leaf 0.';
    END IF;
    IF after_leaf >= size AND after_leaf >= 0 THEN
        RAISE EXCEPTION 'after_leaf is %, but the log of workspace "%" ends before leaf %', after_leaf, left(space, 200), size
            USING ERRCODE = 'ZA003',
                  HINT = 'The position belongs to another log, or the database was restored from a backup. Pass -1 to begin again.';
    END IF;
    beyond := least(size, after_leaf + 1 + max_rows);
    IF beyond = after_leaf + 1 THEN
        RETURN;
    END IF;
    leaves := audit_internal.leaf_arrays(space, after_leaf + 1, beyond);
    -- If a partition is being dropped, this waits for the end of the drop. The next statement then sees the removal.
    LOCK TABLE ONLY audit.event IN ACCESS SHARE MODE;
    -- Most events are in the partitions of a few of them. To look for each event in every partition takes far longer.
    SELECT date_trunc('month', min(e.expires_on)::timestamp)::date AS first_day, max(e.expires_on) AS last_day INTO expiry
    FROM audit.event e
    WHERE e.id = ANY (ARRAY[leaves.ids[1], leaves.ids[cardinality(leaves.ids) / 2 + 1], leaves.ids[cardinality(leaves.ids)]]);
    -- The planner does not see the ids, because it would weigh each of them for each index.
    RETURN QUERY EXECUTE format(
        $q$WITH near AS MATERIALIZED (
               SELECT * FROM audit.event e
               WHERE e.id = ANY ((SELECT $1)::bigint[]) AND e.workspace = $4 AND e.expires_on BETWEEN %4$L AND %5$L),
           far AS MATERIALIZED (
               SELECT * FROM audit_internal.events_by_id($4, ARRAY(SELECT u.id FROM unnest($1) u (id) EXCEPT SELECT n.id FROM near n))),
           stored AS MATERIALIZED (
               SELECT e.*, e.occurred_at >= %1$L OR coalesce(%2$s, false) AS is_kept
               FROM (SELECT * FROM near UNION ALL SELECT * FROM far) e)
           SELECT %3$s, e.leaf, e.hash, e.salt IS NULL AS is_removed,
                  e.salt IS NULL AND e.is_stored IS NULL
                  AND NOT coalesce((SELECT r.beyond > e.leaf FROM audit.removal r
                                    WHERE r.workspace = $4 AND r.first <= e.leaf ORDER BY r.first DESC LIMIT 1), false) AS is_missing
           FROM (unnest($1, $2) WITH ORDINALITY l (id, hash, place) CROSS JOIN LATERAL (SELECT $3 + l.place AS leaf) n
                 LEFT JOIN (SELECT * FROM stored s WHERE s.is_kept) s USING (id)
                 LEFT JOIN (SELECT id, true AS is_stored FROM stored s) o USING (id)) AS e
           ORDER BY e.leaf$q$,
        audit_internal.midnight(audit_internal.first_kept_day(audit_internal.retention_in_force(space), audit_internal.today())),
        coalesce(audit_internal.held_condition(space), 'false'), audit_internal.event_columns(), expiry.first_day, expiry.last_day)
        USING leaves.ids, leaves.hashes, after_leaf, space;
END
$$;
COMMENT ON FUNCTION audit.feed(text, bigint, integer) IS
    'Returns the leaves of a workspace log after a given leaf (-1: from the first one) with their events, in order, at most max_rows (1 to 10000). The leaf of the last row continues (SQLSTATE ZA002, ZA003, XX001).';
