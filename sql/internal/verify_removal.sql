-- Verification of removals: the retention and the legal holds that events record must have allowed each.

CREATE FUNCTION audit_internal.is_removed(space text, id bigint) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM audit.tile t, unnest(t.ids) WITH ORDINALITY i (id, place), audit.removal r
        WHERE t.workspace = space AND t.level = 0 AND t.least_id <= is_removed.id AND t.greatest_id >= is_removed.id
          AND i.id = is_removed.id
          AND r.workspace = space AND r.first <= t.first + i.place - 1 AND r.beyond > t.first + i.place - 1)
$$;
COMMENT ON FUNCTION audit_internal.is_removed(text, bigint) IS 'Returns whether retention removed an event whose leaf is in the log of the workspace';

-- VOLATILE, because it needs a snapshot of its own. That snapshot sees the removals of partitions that were dropped since this
-- statement began.
CREATE FUNCTION audit_internal.is_removed_by_now(space text, leaf bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM audit.removal r WHERE r.workspace = space AND r.first <= leaf AND r.beyond > leaf);
END
$$;
COMMENT ON FUNCTION audit_internal.is_removed_by_now(text, bigint) IS
    'Returns whether retention removed the event of a leaf, even after the present statement began (except in a REPEATABLE READ transaction)';

CREATE FUNCTION audit_internal.to_interval(value text) RETURNS interval
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET intervalstyle = 'postgres'
AS $$
BEGIN
    RETURN value::interval;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION audit_internal.to_interval(text) IS 'Converts a text to an interval, and returns NULL if it is none';

CREATE FUNCTION audit_internal.least_retention(space text, since timestamptz) RETURNS interval
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- The event of a change lasts as long as the shortest known retention. From before that, only the shortest possible retention
    -- is known.
    SELECT CASE WHEN since + min(r.retention) > now() THEN min(r.retention) ELSE audit_internal.shortest_retention() END
    FROM (SELECT audit_internal.retention_in_force(space)
          UNION ALL
          SELECT audit_internal.to_interval(t.value)
          FROM audit.event e, LATERAL (VALUES (e.details->>'from'), (e.details->>'to')) t (value)
          WHERE e.workspace = space AND e.action = 'retention_changed' AND e.category = 'audit') r (retention)
$$;
COMMENT ON FUNCTION audit_internal.least_retention(text, timestamptz) IS
    'Returns the shortest retention that a workspace can have had at a given time or later, according to its events';

CREATE FUNCTION audit_internal.retention_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    retention interval := audit_internal.retention_in_force(space);
    -- A lock serialises changes, so their ids are in order. The clock may have been set back between them.
    change audit.event := (SELECT (array_agg(e ORDER BY e.id DESC))[1] FROM audit.event e
                           WHERE e.workspace = space AND e.action = 'retention_changed' AND e.category = 'audit');
BEGIN
    -- Maintenance uses the retention in audit.workspace, so an event must record it.
    IF change.id IS NOT NULL AND audit_internal.to_interval(change.details->>'to') IS DISTINCT FROM retention THEN
        RETURN NEXT ('retention_forged', space, NULL, change.id,
                     format('retention is %s, but the last event that records a change says %s', retention, change.details->>'to'))::audit.damage;
    ELSIF change.id IS NULL AND retention <> audit_internal.default_retention() AND NOT EXISTS (SELECT FROM audit.removal r WHERE r.workspace = space) THEN
        RETURN NEXT ('retention_forged', space, NULL, NULL, format('retention is %s, but no event records it', retention))::audit.damage;
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.retention_damage(text) IS 'Returns damage if the retention of a workspace is not the one that its events record';

CREATE FUNCTION audit_internal.must_be_kept(space text, recorded_at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT recorded_at + audit_internal.least_retention(space, recorded_at) - interval '1 day' > now() $$;
COMMENT ON FUNCTION audit_internal.must_be_kept(text, timestamptz) IS
    'Returns whether an event that a workspace recorded at a given time must still exist, whatever its retention was since. One day is left for clocks that differ.';

CREATE FUNCTION audit_internal.hold_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH recorded AS (
        -- The last event about each extent.
        SELECT DISTINCT ON (t.target, t.actor) t.*
        FROM (SELECT e.id, e.recorded_at, e.action = 'legal_hold_placed' AS is_active,
                     coalesce(e.details->>'target', '') AS target, coalesce(e.details->>'actor', '') AS actor
              FROM audit.event e
              WHERE e.workspace = space AND e.action IN ('legal_hold_placed', 'legal_hold_released') AND e.category = 'audit') t
        ORDER BY t.target, t.actor, t.id DESC
    ), stored AS (
        SELECT DISTINCT ON (h.target, h.actor) coalesce(h.target, '') AS target, coalesce(h.actor, '') AS actor, h.placed_at, h.released_at
        FROM audit.legal_hold h WHERE h.workspace = space
        ORDER BY h.target, h.actor, h.audit_event_id DESC
    )
    SELECT 'hold_forged', space, NULL::bigint, t.id,
           CASE WHEN t.is_active THEN 'the legal hold that this event placed is not in force, but no event records its release'
                WHEN t.id IS NOT NULL THEN 'the legal hold that this event released is in force, but no later event records its placing'
                ELSE 'a legal hold is in force, but no event records its placing' END
    FROM recorded t FULL JOIN stored h ON h.target = t.target AND h.actor = t.actor
    WHERE CASE WHEN h.target IS NOT NULL AND h.released_at IS NULL THEN t.is_active IS NOT TRUE AND audit_internal.must_be_kept(space, h.placed_at)
               -- The event of a release expires in its time. Another hold may keep the event of a placing longer.
               WHEN t.is_active THEN h.target IS NULL OR audit_internal.must_be_kept(space, t.recorded_at) OR audit_internal.must_be_kept(space, h.released_at)
               ELSE false END
$$;
COMMENT ON FUNCTION audit_internal.hold_damage(text) IS 'Returns the legal holds of a workspace that differ from those that its events record';

CREATE FUNCTION audit_internal.removal_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
BEGIN
    -- A removal must match an event. That event may itself have been removed since.
    RETURN QUERY
    SELECT 'removal_forged', space, r.first, r.event_id, format('no event records the removal of leaves %s to %s', r.first, r.beyond - 1)
    FROM audit.removal r
    LEFT JOIN audit.event e ON e.id = r.event_id AND e.category = 'audit'
    WHERE r.workspace = space
      AND NOT (r.first >= 0 AND r.first < r.beyond AND coalesce(
          e.action = 'events_removed' AND e.workspace = space AND e.details->'leaves' @> jsonb_build_array(jsonb_build_array(r.first, r.beyond)),
          audit_internal.is_removed(space, r.event_id)));

    -- A leaf that came after a recorded head, or has a greater id than a stored event, is no older than these. Imported events are
    -- exceptions. One day is left for transactions in progress at that time.
    RETURN QUERY
    SELECT 'removal_forged', space, r.first, r.event_id,
           format('leaf %s is from %s or later, but was removed on %s, earlier than retention allows', r.beyond - 1, b.recorded_at, e.recorded_at)
    FROM audit.removal r
    JOIN audit.event e ON e.id = r.event_id
    CROSS JOIN LATERAL audit.leaves(space, r.beyond - 1, r.beyond) l
    CROSS JOIN LATERAL (SELECT greatest((SELECT h.recorded_at FROM audit.head h WHERE h.workspace = space AND h.size < r.beyond ORDER BY h.size DESC LIMIT 1),
                                        (SELECT o.recorded_at FROM audit.event o WHERE o.id < l.id ORDER BY o.id DESC LIMIT 1)) AS recorded_at) b
    WHERE r.workspace = space
      AND b.recorded_at + audit_internal.least_retention(space, e.recorded_at) - interval '1 day' > e.recorded_at
      AND b.recorded_at + audit_internal.least_retention('audit', b.recorded_at) > now()
      AND NOT EXISTS (SELECT FROM audit.event i, audit.leaves(space, r.first, r.beyond) l
                      WHERE i.workspace = 'audit' AND i.action = 'events_imported' AND i.category = 'audit'
                        AND jsonb_typeof(i.details->'first_id') = 'number' AND jsonb_typeof(i.details->'last_id') = 'number'
                        AND l.id >= (i.details->>'first_id')::numeric AND l.id <= (i.details->>'last_id')::numeric);

    -- Maintenance and changes of holds wait for each other, so their ids are in order. The event of a release can expire before
    -- that of its placing, which another hold may keep.
    RETURN QUERY
    SELECT 'removal_forged', space, r.first, r.event_id,
           format('leaves %s to %s were removed while the whole workspace was under the legal hold of event %s', r.first, r.beyond - 1, h.placed)
    FROM audit.removal r
    JOIN (SELECT e.action, e.recorded_at, e.id AS placed, lead(e.id) OVER later AS ended, lead(e.action) OVER later AS ended_by
          FROM audit.event e
          WHERE e.workspace = space AND e.action IN ('legal_hold_placed', 'legal_hold_released') AND e.category = 'audit'
            AND e.details->>'target' IS NULL AND e.details->>'actor' IS NULL
          WINDOW later AS (ORDER BY e.id)) h
      ON h.action = 'legal_hold_placed' AND r.event_id > h.placed AND (h.ended IS NULL OR r.event_id < h.ended)
    WHERE r.workspace = space
      AND (h.ended_by = 'legal_hold_released' OR audit_internal.must_be_kept(space, h.recorded_at)
           OR h.ended IS NULL AND EXISTS (SELECT FROM audit.legal_hold l
                                          WHERE l.workspace = space AND l.target IS NULL AND l.actor IS NULL AND l.released_at IS NULL));
END
$$;
COMMENT ON FUNCTION audit_internal.removal_damage(text) IS
    'Returns the removals from the log of a workspace that no event records, or that neither retention nor a legal hold can have allowed';
