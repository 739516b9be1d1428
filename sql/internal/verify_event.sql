-- Verification of events: each must match its leaf.

CREATE FUNCTION audit_internal.event_damage(space text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET work_mem = '64MB'
AS $$
DECLARE
    state audit_internal.sealer := (SELECT s FROM audit_internal.sealer s);
    -- Between a restore and the first pass after it, the sealed transactions are unknown.
    is_own boolean := coalesce(state.system_identifier = (SELECT c.system_identifier FROM pg_control_system() c)
                               AND state.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()), false);
    condition text := 'true';
    tiles text := 'true';
    relevant text := 'true';
    leaves text;
    least_id bigint;
    greatest_id bigint;
    first bigint;
    beyond bigint;
BEGIN
    IF space IS NOT NULL THEN
        condition := format('e.workspace = %L', space);
        tiles := format('t.workspace = %L', space);
    END IF;
    -- A period covers the leaves that were added in it and the events that occurred in it. Imported events were added later.
    IF since IS NOT NULL OR until IS NOT NULL THEN
        first := coalesce((SELECT max(h.size) FROM audit.head h WHERE h.workspace = space AND h.recorded_at < since), 0);
        beyond := coalesce((SELECT min(h.size) FROM audit.head h WHERE h.workspace = space AND h.recorded_at >= until), 9223372036854775807);
        condition := concat_ws(' AND ', condition, format('e.occurred_at >= %L', since), format('e.occurred_at < %L', until));
        EXECUTE format('SELECT min(e.id), max(e.id) FROM audit.event e WHERE %s', condition) INTO least_id, greatest_id;
        tiles := format('%s AND (t.first + 255 >= %s AND t.first < %s OR t.least_id <= %s AND t.greatest_id >= %s)',
                        tiles, first, beyond, coalesce(greatest_id, -1), coalesce(least_id, 0));
        relevant := format('(e.id IS NOT NULL OR l.leaf >= %s AND l.leaf < %s)', first, beyond);
    END IF;
    -- Without the last OFFSET, each leaf would carry the hashes of its tile, even to disk.
    leaves := format(
        $q$SELECT t.workspace, t.first + i.place - 1 AS leaf, i.id, substr(t.hashes, (32 * (i.place - 1))::integer + 1, 32) AS hash
           FROM (SELECT t.workspace, t.first, t.ids, t.hashes || '' AS hashes FROM audit.tile t WHERE t.level = 0 AND %s OFFSET 0) t,
                unnest(t.ids) WITH ORDINALITY i (id, place)
           OFFSET 0$q$, tiles);

    -- An event is hidden if audit_internal.event_filter does not find it because of its day of expiry. An event that is found
    -- under its leaf is correct or changed. An event without a leaf was added. For a leaf without an event, the event is searched
    -- elsewhere.
    RETURN QUERY EXECUTE format(
        $q$SELECT d.kind, d.workspace, d.leaf, d.id, CASE d.kind
             WHEN 'event_changed' THEN 'the event is not the one that was sealed'
             WHEN 'event_missing' THEN 'the event of this leaf is missing, and retention did not remove it'
             WHEN 'event_moved' THEN format('the event of this leaf is now in workspace "%%s"', d.found)
             WHEN 'event_hidden' THEN 'the expiry day of the event does not follow from its retention, so queries do not find it'
             ELSE 'the event has no leaf although its transaction was sealed, so audit.append did not write it' END
           FROM (SELECT j.workspace, j.leaf, j.id, (j.elsewhere).workspace AS found, CASE
                   WHEN j.event IS NULL AND (j.elsewhere).id IS NULL THEN 'event_missing'
                   WHEN j.event IS NULL AND (j.elsewhere).workspace <> j.workspace THEN 'event_moved'
                   WHEN j.event IS NULL THEN CASE WHEN audit.leaf_hash(j.elsewhere) IS DISTINCT FROM j.hash THEN 'event_changed' END
                   WHEN j.leaf IS NULL THEN CASE WHEN j.is_sealed THEN 'event_added' END
                   WHEN j.event_hash IS DISTINCT FROM j.hash THEN 'event_changed'
                   WHEN j.is_hidden THEN 'event_hidden' END AS kind
                 FROM (SELECT coalesce(l.workspace, e.workspace) AS workspace, coalesce(l.id, e.id) AS id, l.leaf, l.hash,
                              e.id AS event, e.hash AS event_hash, e.is_hidden, l.leaf IS NULL AND %3$s AS is_sealed,
                              CASE WHEN e.id IS NULL THEN (SELECT o FROM audit.event o WHERE o.id = l.id ORDER BY o.workspace <> l.workspace LIMIT 1) END AS elsewhere
                       FROM (%1$s) l
                       FULL JOIN (SELECT e.workspace, e.id, e.xid, audit.leaf_hash(e) AS hash,
                                         CASE WHEN e.expires_on = 'infinity' THEN e.workspace <> ALL ($5)
                                               WHEN w.workspace IS NULL OR e.occurred_at >= w.settled_at + interval '1 day'
                                               THEN e.expires_on <> ((e.occurred_at AT TIME ZONE 'UTC')::date + coalesce(w.retention, $4))::date
                                               ELSE e.expires_on - (e.occurred_at AT TIME ZONE 'UTC')::date NOT BETWEEN w.shortest_days AND w.longest_days
                                          END AS is_hidden
                                  FROM audit.event e LEFT JOIN audit.workspace w ON w.workspace = e.workspace WHERE %2$s) e
                         ON e.workspace = l.workspace AND e.id = l.id
                       WHERE %4$s OFFSET 0) j) d
           WHERE d.kind IS NOT NULL
             AND NOT (d.kind = 'event_missing' AND EXISTS (SELECT FROM audit.removal r
                          WHERE r.workspace = d.workspace AND d.leaf >= r.first AND d.leaf < r.beyond))$q$,
        leaves, condition,
        -- Events of this very transaction are left to the next pass.
        $q$ $1 AND (e.id <= $2 OR pg_visible_in_snapshot(e.xid, $3) OR e.xid >= pg_snapshot_xmax(pg_current_snapshot()))
           AND NOT e.xid = ANY (ARRAY(SELECT pg_snapshot_xip($3))) AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned()$q$,
        relevant)
    USING is_own, state.ids_after, state.sealed, audit_internal.default_retention(),
          ARRAY(SELECT h.workspace FROM audit.legal_hold h WHERE h.cleared_at IS NULL);

    RETURN QUERY EXECUTE format(
        $q$SELECT 'event_doubled', min(l.workspace), max(l.leaf), l.id, format('%%s leaves belong to this event', count(*))
           FROM (%s) l GROUP BY l.id HAVING count(*) > 1$q$, leaves);
    RETURN QUERY EXECUTE format(
        $q$SELECT 'event_doubled', min(e.workspace), NULL::bigint, e.id, format('there are %%s rows with this id', count(*))
           FROM audit.event e WHERE %s GROUP BY e.id HAVING count(*) > 1$q$, condition);
END
$$;
COMMENT ON FUNCTION audit_internal.event_damage(text, timestamptz, timestamptz) IS
    'Returns the events of a workspace and a period that do not match their workspace log. NULL means all workspaces and all time.';
