-- Removal of single events, before their partition is due. The reason is a shorter retention or a released legal hold.

CREATE FUNCTION audit_internal.remove_events(partition regclass, ids bigint[]) RETURNS bigint
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'audit_remove_events';
COMMENT ON FUNCTION audit_internal.remove_events(regclass, bigint[]) IS
    'Removes those events of a partition that audit_internal.is_kept does not keep, and returns their number';

CREATE FUNCTION audit_internal.utc_text(value timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT to_char(value AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
COMMENT ON FUNCTION audit_internal.utc_text(timestamptz) IS 'Returns a time as text in the form of format v1';

CREATE FUNCTION audit_internal.record_removal(
    space text, reason text, first_day date, ids bigint[], first_time timestamptz, last_time timestamptz
) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET intervalstyle = 'postgres'
AS $$
DECLARE
    ranges jsonb := (SELECT jsonb_agg(jsonb_build_array(r.first, r.beyond) ORDER BY r.first) FROM audit_internal.leaf_ranges(space, ids) r);
    -- An evidence pack shows this event as the proof that the leaves were due. FORMAT.md describes the keys.
    record_id bigint := audit.append(
        'events_removed', workspace => space, actor => audit_internal.who('system:maintenance'), target => 'workspace:' || space,
        details => jsonb_build_object('reason', reason, 'retention', audit_internal.retention_in_force(space)::text,
                                      'kept_since', audit_internal.utc_text(audit_internal.midnight(first_day)),
                                      'events', cardinality(ids), 'first_id', (SELECT min(i) FROM unnest(ids) i),
                                      'last_id', (SELECT max(i) FROM unnest(ids) i),
                                      'first_time', audit_internal.utc_text(first_time), 'last_time', audit_internal.utc_text(last_time),
                                      'leaves', ranges));
BEGIN
    INSERT INTO audit.removal (workspace, first, beyond, event_id)
    SELECT space, (r.value->>0)::bigint, (r.value->>1)::bigint, record_id FROM jsonb_array_elements(ranges) r;
END
$$;
COMMENT ON FUNCTION audit_internal.record_removal(text, text, date, bigint[], timestamptz, timestamptz) IS
    'Appends an event that records the removal of events of a workspace. They occurred between two times, before the first day that retention keeps.';

CREATE FUNCTION audit_internal.remove_shortened(space text, max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    retention interval := (SELECT w.retention FROM audit.workspace w WHERE w.workspace = space);
    first_day date := audit_internal.first_kept_day(retention, audit_internal.today());
    batch record;
BEGIN
    batch := audit_internal.remove_oldest(space, 'retention was shortened', first_day, false, max_rows);
    IF batch.expired < max_rows AND batch.removed = batch.expired THEN
        PERFORM audit_internal.settle_bounds(space, first_day);
    END IF;
    RETURN batch.removed;
END
$$;
COMMENT ON FUNCTION audit_internal.remove_shortened(text, bigint) IS
    'Removes events of a workspace that a shorter retention made due before their partition, at most max_rows, and returns their number';

CREATE FUNCTION audit_internal.settle_bounds(space text, first_day date) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    setting audit.workspace := (SELECT w FROM audit.workspace w WHERE w.workspace = space);
    days record := audit_internal.length_in_days(setting.retention);
BEGIN
    UPDATE audit.workspace w SET removed_before = first_day WHERE w.workspace = space;
    -- If no event from before the change is left, every event was given the retention in force.
    IF setting.settled_at > '-infinity' AND NOT EXISTS (
        SELECT FROM audit.event e WHERE e.workspace = space AND e.occurred_at < setting.settled_at + interval '1 day'
    ) THEN
        UPDATE audit.workspace w
        SET shortest_days = days.shortest - 1, longest_days = days.longest + 1, settled_at = '-infinity' WHERE w.workspace = space;
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.settle_bounds(text, date) IS
    'Records that no event from before a day is left to remove, and narrows the bounds of the days that events were given';

CREATE FUNCTION audit_internal.remove_oldest(
    space text, reason text, first_day date, was_held boolean, max_rows bigint, OUT expired bigint, OUT removed bigint
)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    -- Events that expire before today by their first retention leave with their partition.
    candidates text := CASE WHEN was_held THEN 'ONLY audit_internal.event_held e WHERE true'
                            ELSE format($q$audit.event e WHERE e.expires_on >= %L AND e.expires_on < 'infinity'$q$, audit_internal.today()) END;
    batch record;
    gone bigint[];
    ids bigint[] := '{}';
    first_time timestamptz;
    last_time timestamptz;
BEGIN
    expired := 0;
    -- The oldest events go first, so that the remaining events have no gaps.
    FOR batch IN EXECUTE format(
        $q$SELECT b.partition, array_agg(b.id) AS ids, min(b.occurred_at) AS first_time, max(b.occurred_at) AS last_time
           FROM (SELECT e.tableoid::regclass AS partition, e.id, e.occurred_at
                 FROM %s AND e.workspace = %L AND e.occurred_at < %L AND (%s) IS NOT TRUE
                 ORDER BY e.occurred_at, e.id LIMIT %s) b
           GROUP BY b.partition$q$,
        candidates, space, audit_internal.midnight(first_day), coalesce(audit_internal.held_condition(space), 'false'), max_rows)
    LOOP
        expired := expired + cardinality(batch.ids);
        -- Events without a leaf are left to a later run.
        CONTINUE WHEN audit_internal.remove_events(batch.partition, batch.ids) = 0;
        EXECUTE format($q$SELECT array_agg(i.id) FROM unnest($1) i (id) WHERE NOT EXISTS (SELECT FROM ONLY %s e WHERE e.id = i.id)$q$,
                       batch.partition) INTO gone USING batch.ids;
        ids := ids || gone;
        first_time := least(first_time, batch.first_time);
        last_time := greatest(last_time, batch.last_time);
    END LOOP;
    removed := cardinality(ids);
    IF removed = 0 THEN
        RETURN;
    END IF;

    PERFORM audit_internal.record_removal(space, reason, first_day, ids, first_time, last_time);
END
$$;
COMMENT ON FUNCTION audit_internal.remove_oldest(text, text, date, boolean, bigint) IS
    'Removes events of a workspace that occurred before a day and are under no legal hold, oldest first, and records an event. Takes events that a hold kept (was_held), or else events whose partition is not due. Returns how many of at most max_rows had expired, and how many were removed because they had a leaf.';

CREATE FUNCTION audit_internal.return_released(space text, max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    held_partition regclass := to_regclass('audit_internal.event_held');
    retention interval := audit_internal.retention_in_force(space);
    batch record;
BEGIN
    IF held_partition IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format($q$SELECT array_agg(b.id) AS ids, array_agg(b.day) AS days
                      FROM (SELECT e.id, audit_internal.expires_on(e.occurred_at, %L) AS day FROM ONLY audit_internal.event_held e
                            WHERE e.workspace = %L AND e.occurred_at >= %L AND (%s) IS NOT TRUE LIMIT %s) b$q$,
                   retention, space, audit_internal.midnight(audit_internal.first_kept_day(retention, audit_internal.today())),
                   coalesce(audit_internal.held_condition(space), 'false'), max_rows) INTO batch;
    IF batch.ids IS NULL THEN
        RETURN 0;
    END IF;
    IF audit_internal.create_partitions(batch.days) THEN
        -- An append that needs one of the new partitions waits until this transaction commits.
        RETURN NULL;
    END IF;
    RETURN audit_internal.move_events(held_partition, batch.ids, batch.days);
END
$$;
COMMENT ON FUNCTION audit_internal.return_released(text, bigint) IS
    'Moves events that are within retention and no longer under legal hold from audit_internal.event_held to the month of their expiry. Returns their number, at most max_rows, or NULL if it first had to create a partition.';

CREATE FUNCTION audit_internal.remove_released(space text, max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    held_partition regclass := to_regclass('audit_internal.event_held');
    retention interval := audit_internal.retention_in_force(space);
    removed bigint := 0;
BEGIN
    IF held_partition IS NOT NULL THEN
        SELECT r.removed INTO removed
        FROM audit_internal.remove_oldest(space, 'a legal hold was released',
                                          audit_internal.first_kept_day(retention, audit_internal.today()), true, max_rows) r;
    END IF;
    IF removed < max_rows THEN
        UPDATE audit.legal_hold h SET cleared_at = clock_timestamp()
        WHERE h.workspace = space AND h.released_at IS NOT NULL AND h.cleared_at IS NULL
          AND (held_partition IS NULL OR NOT audit_internal.has_released(space));
    END IF;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION audit_internal.remove_released(text, bigint) IS
    'Removes events that are past their retention and no longer under legal hold from audit_internal.event_held. Returns their number, at most max_rows.';

CREATE FUNCTION audit_internal.has_released(space text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format($q$SELECT EXISTS (SELECT FROM ONLY audit_internal.event_held e WHERE e.workspace = %L AND (%s) IS NOT TRUE)$q$,
                   space, coalesce(audit_internal.held_condition(space), 'false')) INTO found;
    RETURN found;
END
$$;
COMMENT ON FUNCTION audit_internal.has_released(text) IS 'Returns whether audit_internal.event_held holds events of a workspace that are no longer under legal hold';
