-- Queries. All functions in this file work on a hot standby and in a READ ONLY transaction. Each call builds its statement, so that
-- the planner sees the filters in use and their values. The planner can then open only the partitions that can hold the result.
-- Values become literals, so the time zone and the date style are pinned.

-- The columns of audit.event that the hashed line shows, in its order, and two computed columns.
DO $do$
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE TYPE audit.event_result AS (%s, cursor text, redactions jsonb)',
        (SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', c.name, c.type), ', ' ORDER BY c.place)
         FROM audit_internal.columns() c WHERE c.place IS NOT NULL));
END
$do$;
COMMENT ON TYPE audit.event_result IS 'An event as the query functions return it. cursor is the place to continue after the event. redactions holds the erased fields with time, actor and reason.';

-- No page is worth reading a whole partition, although the planner believes so of a list that it expects to find much.
CREATE FUNCTION audit.events(
    workspace text DEFAULT NULL,
    action text DEFAULT NULL,
    actor text DEFAULT NULL,
    target text DEFAULT NULL,
    category text DEFAULT NULL,
    outcome text DEFAULT NULL,
    since timestamptz DEFAULT now() - interval '168 hours',
    until timestamptz DEFAULT NULL,
    details jsonb DEFAULT NULL,
    cursor text DEFAULT NULL,
    max_rows integer DEFAULT 100,
    request_id text DEFAULT NULL,
    session_id text DEFAULT NULL,
    ip inet DEFAULT NULL,
    filters jsonb DEFAULT NULL
) RETURNS SETOF audit.event_result
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET enable_seqscan = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    -- The outer SELECT computes columns only for the rows of the page. The order names the workspace, although it is the same in
    -- all rows. The planner cannot learn that from found_by_keys, and would not use the index in the order of time.
    statement constant text := 'SELECT %s FROM (SELECT * FROM audit.event e WHERE %s ORDER BY e.workspace DESC, e.occurred_at DESC, e.id DESC LIMIT %s) e '
                               'ORDER BY e.workspace DESC, e.occurred_at DESC, e.id DESC';
    asked audit_internal.filters := audit_internal.make_filters(
        workspace, since, until, details,
        jsonb_build_object('action', action, 'actor', actor, 'target', target, 'category', category, 'outcome', outcome,
                           'request_id', request_id, 'session_id', session_id, 'ip', ip),
        filters);
    place record;
    after_place text := '';
    retention interval;
    recent timestamptz;
    newest timestamptz;
    missing bigint := max_rows;
    found bigint;
BEGIN
    IF max_rows IS NULL OR max_rows NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'max_rows is %, but it must be between 1 and 10000', coalesce(max_rows::text, 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'Pass the cursor of the last row to continue after it.';
    END IF;
    IF cursor IS NOT NULL THEN
        place := audit_internal.parse_cursor(cursor);
        after_place := format(' AND (e.occurred_at, e.id) < (%L, %s)', place.occurred_at, place.id);
        IF place.occurred_at >= coalesce(since, '-infinity') THEN
            asked.until := least(until, place.occurred_at + interval '1 microsecond');
        END IF;
    END IF;

    -- If no index has the events in the order of time, and many match, the newest partition is enough. The loop goes to the
    -- partition before as long as another month of as many events would fill the page.
    newest := least(asked.until, now());
    IF NOT audit_internal.is_sorted(asked) AND newest > now() - interval '200 years' THEN
        retention := audit_internal.retention_in_force(asked.workspace);
        recent := audit_internal.partition_begin(newest - interval '1 microsecond', retention);
    END IF;
    WHILE missing > 0 LOOP
        IF recent <= coalesce(since, '-infinity') THEN
            recent := NULL;
        END IF;
        asked.since := coalesce(recent, since);
        RETURN QUERY EXECUTE format(
            statement, audit_internal.event_columns(), audit_internal.event_filter(asked) || after_place, missing);
        EXIT WHEN recent IS NULL;
        GET DIAGNOSTICS found = ROW_COUNT;
        missing := missing - found;
        asked.until := recent;
        recent := CASE WHEN found * interval '31 days' >= missing * (newest - recent)
                       THEN audit_internal.partition_begin(recent - interval '1 microsecond', retention) END;
        newest := asked.until;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit.events IS
    'Returns events of a workspace, newest first, at most max_rows (1 to 10000). The cursor of the last row continues. filters is a JSON object with one value or a list for each field (SQLSTATE ZA002, ZA003, ZA008, ZA009).';

CREATE FUNCTION audit.event(id bigint, bound_caller oid) RETURNS SETOF audit.event_result
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1 SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT %s FROM audit.event e WHERE e.id = $1 AND audit_internal.is_kept(e.workspace, e.occurred_at, e.actor, e.targets) '
        'AND audit_internal.may_read($2, e.workspace)',
        audit_internal.event_columns()) USING id, bound_caller;
END
$$;
COMMENT ON FUNCTION audit.event(bigint, oid) IS 'Returns the event with this id. Returns no row if there is none, if it is no longer kept, or if its workspace is not granted to a bound caller.';

CREATE FUNCTION audit.activity(
    workspace text DEFAULT NULL,
    bucket interval DEFAULT interval '1 day',
    since timestamptz DEFAULT now() - interval '168 hours',
    until timestamptz DEFAULT NULL,
    group_by text DEFAULT NULL,
    action text DEFAULT NULL,
    actor text DEFAULT NULL,
    target text DEFAULT NULL,
    category text DEFAULT NULL,
    outcome text DEFAULT NULL,
    details jsonb DEFAULT NULL,
    request_id text DEFAULT NULL,
    session_id text DEFAULT NULL,
    ip inet DEFAULT NULL,
    filters jsonb DEFAULT NULL,
    zone text DEFAULT 'UTC',
    max_events integer DEFAULT NULL
) RETURNS TABLE (bucket_start timestamptz, group_value text, event_count bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    asked audit_internal.filters := audit_internal.make_filters(
        workspace, since, until, details,
        jsonb_build_object('action', action, 'actor', actor, 'target', target, 'category', category, 'outcome', outcome,
                           'request_id', request_id, 'session_id', session_id, 'ip', ip),
        filters);
BEGIN
    IF group_by NOT IN ('action', 'actor', 'category', 'outcome') THEN
        RAISE EXCEPTION 'group_by is "%", but it must be action, actor, category or outcome', left(group_by, 100)
            USING ERRCODE = 'ZA003';
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT %s, %s, count(*) FROM (%s) e GROUP BY 1, 2 ORDER BY 1, 2',
        audit_internal.bucket_start(bucket, zone), coalesce('e.' || quote_ident(group_by), 'NULL::text'),
        audit_internal.newest_events(asked, max_events));
END
$$;
COMMENT ON FUNCTION audit.activity IS
    'Returns the number of events in each bucket of time, in a time zone. With group_by, counts them for each action, actor, category or outcome. With max_events, counts the newest events only (SQLSTATE ZA002, ZA003, ZA009, 22023).';

CREATE FUNCTION audit.top_values(
    workspace text DEFAULT NULL,
    since timestamptz DEFAULT now() - interval '168 hours',
    until timestamptz DEFAULT NULL,
    details jsonb DEFAULT NULL,
    filters jsonb DEFAULT NULL,
    max_events integer DEFAULT 10000,
    max_values integer DEFAULT 5
) RETURNS TABLE (field text, value text, event_count bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET enable_seqscan = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
BEGIN
    IF max_events IS NULL THEN
        RAISE EXCEPTION 'max_events is NULL, but it must be a number' USING ERRCODE = 'ZA003';
    END IF;
    IF max_values IS NULL OR max_values NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'max_values is %, but it must be between 1 and 1000', coalesce(max_values::text, 'NULL') USING ERRCODE = 'ZA003';
    END IF;
    RETURN QUERY EXECUTE format(
        $q$WITH e AS MATERIALIZED (SELECT e.action, e.actor, e.targets FROM (%s) e),
                v (field, value, event_count) AS (
                    SELECT 'action', e.action, count(*) FROM e GROUP BY 2
                    UNION ALL SELECT 'actor', e.actor, count(*) FROM e WHERE e.actor IS NOT NULL GROUP BY 2
                    UNION ALL SELECT 'target', t.target, count(*) FROM e, LATERAL (SELECT DISTINCT unnest(e.targets) AS target) t GROUP BY 2)
           SELECT r.field, r.value, r.event_count
           FROM (SELECT v.*, row_number() OVER (PARTITION BY v.field ORDER BY v.event_count DESC, v.value COLLATE "C") AS place FROM v) r
           WHERE r.place <= %s ORDER BY r.field, r.place$q$,
        audit_internal.newest_events(audit_internal.make_filters(workspace, since, until, details, NULL, filters), max_events), max_values);
END
$$;
COMMENT ON FUNCTION audit.top_values IS
    'Returns the most frequent actions, actors and targets among the newest events that the filters match, at most max_values of each (SQLSTATE ZA002, ZA003, ZA009)';

CREATE FUNCTION audit.counts_by_action(
    workspace text DEFAULT NULL,
    since timestamptz DEFAULT now() - interval '168 hours',
    until timestamptz DEFAULT NULL,
    details jsonb DEFAULT NULL,
    filters jsonb DEFAULT NULL
) RETURNS TABLE (category text, action text, outcome text, event_count bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT e.category, e.action, e.outcome, count(*) FROM audit.event e WHERE %s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3',
        audit_internal.event_filter(audit_internal.make_filters(workspace, since, until, details, NULL, filters)));
END
$$;
COMMENT ON FUNCTION audit.counts_by_action IS
    'Returns the number of events of each action and outcome (SQLSTATE ZA002, ZA003, ZA009)';

CREATE FUNCTION audit.export(
    workspace text DEFAULT NULL,
    action text DEFAULT NULL,
    actor text DEFAULT NULL,
    target text DEFAULT NULL,
    category text DEFAULT NULL,
    outcome text DEFAULT NULL,
    since timestamptz DEFAULT now() - interval '168 hours',
    until timestamptz DEFAULT NULL,
    details jsonb DEFAULT NULL,
    any_action text[] DEFAULT NULL,
    any_category text[] DEFAULT NULL,
    newest_first boolean DEFAULT false,
    portal refcursor DEFAULT 'audit_export',
    request_id text DEFAULT NULL,
    session_id text DEFAULT NULL,
    ip inet DEFAULT NULL,
    filters jsonb DEFAULT NULL
) RETURNS refcursor
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET cursor_tuple_fraction = 1
AS $$
DECLARE
    asked audit_internal.filters := audit_internal.make_filters(
        workspace, since, until, details,
        jsonb_build_object('action', action, 'actor', actor, 'target', target, 'category', category, 'outcome', outcome,
                           'request_id', request_id, 'session_id', session_id, 'ip', ip),
        filters);
    clause text := audit_internal.event_filter(asked);
BEGIN
    IF any_action IS NOT NULL OR any_category IS NOT NULL THEN
        clause := clause || format(' AND (e.action = ANY (%L) OR e.category = ANY (%L))',
                                   coalesce(any_action, '{}'), coalesce(any_category, '{}'));
    END IF;
    OPEN portal NO SCROLL FOR EXECUTE format(
        'SELECT %s FROM audit.event e WHERE %s ORDER BY e.workspace %3$s, e.occurred_at %3$s, e.id %3$s',
        audit_internal.event_columns(), clause, CASE WHEN newest_first THEN 'DESC' ELSE 'ASC' END);
    RETURN portal;
END
$$;
COMMENT ON FUNCTION audit.export IS
    'Opens a cursor over all events that the filters match, for FETCH in the same transaction. any_action and any_category keep events that match either (SQLSTATE ZA002, ZA003, ZA009).';

CREATE FUNCTION audit.check_filters(
    workspace text DEFAULT NULL,
    action text DEFAULT NULL,
    actor text DEFAULT NULL,
    target text DEFAULT NULL,
    category text DEFAULT NULL,
    outcome text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL,
    details jsonb DEFAULT NULL,
    request_id text DEFAULT NULL,
    session_id text DEFAULT NULL,
    ip inet DEFAULT NULL,
    filters jsonb DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM audit_internal.make_filters(
        workspace, since, until, details,
        jsonb_build_object('action', action, 'actor', actor, 'target', target, 'category', category, 'outcome', outcome,
                           'request_id', request_id, 'session_id', session_id, 'ip', ip),
        filters);
END
$$;
COMMENT ON FUNCTION audit.check_filters IS
    'Raises the error that audit.events raises for these filters, without reading an event (SQLSTATE ZA002, ZA003, ZA009)';

CREATE FUNCTION audit.export_leaves(workspace text, first bigint, beyond bigint, portal refcursor DEFAULT 'audit_leaves') RETURNS refcursor
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET cursor_tuple_fraction = 1
AS $$
BEGIN
    -- An event without a row is missing unless a removal covers its leaf. It is not missing either if its row exists and
    -- retention hides it.
    OPEN portal NO SCROLL FOR EXECUTE format(
        $q$SELECT %1$s, l.leaf, l.hash,
                  CASE WHEN e.id IS NULL
                       THEN NOT coalesce((SELECT r.beyond > l.leaf FROM audit.removal r
                                          WHERE r.workspace = %2$L AND r.first <= l.leaf
                                          ORDER BY r.first DESC LIMIT 1), false)
                            AND NOT EXISTS (SELECT FROM audit.event x
                                            WHERE x.workspace = %2$L AND x.id = l.id AND audit.leaf_hash(x) = l.hash
                                              AND NOT audit_internal.is_kept(x.workspace, x.occurred_at, x.actor, x.targets))
                       ELSE false END AS is_missing
           FROM audit.leaves(%2$L, %3$L, %4$L) l
           LEFT JOIN audit.event e ON e.id = l.id AND %5$s$q$,
        audit_internal.event_columns(), workspace, first, beyond,
        audit_internal.event_filter(audit_internal.make_filters(workspace)));
    RETURN portal;
END
$$;
COMMENT ON FUNCTION audit.export_leaves(text, bigint, bigint, refcursor) IS
    'Opens a cursor over the leaves of a workspace log from first to before beyond, in undefined order, each with its event. Its columns are those of audit.event_result (NULL if the event is not kept), then leaf, hash and is_missing (SQLSTATE ZA002).';
