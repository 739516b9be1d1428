-- The text of the statements of the query functions: filters, columns, and cursors. The arguments of a query function are checked
-- once, and become audit_internal.filters.

CREATE TYPE audit_internal.field_filter AS (
    field text,
    is_excluded boolean,
    "values" text[],
    prefixes text[]
);
COMMENT ON TYPE audit_internal.field_filter IS
    'A condition on a field, which must have one of the values or begin with one of the prefixes. If is_excluded, it must not.';

CREATE TYPE audit_internal.filters AS (
    workspace text,
    since timestamptz,
    until timestamptz,
    details jsonb,
    fields audit_internal.field_filter[]
);
COMMENT ON TYPE audit_internal.filters IS 'The filters of a query. An attribute that is NULL does not filter.';

CREATE FUNCTION audit_internal.filter_field(
    OUT field text, OUT has_prefixes boolean, OUT has_keys boolean, OUT equals text, OUT equals_any text
) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 8
    SET search_path = pg_catalog, pg_temp
AS $$
    VALUES ('action',     true,  false, 'e.action = %L',     'e.action = ANY (%L)'),
           ('actor',      true,  false, 'e.actor = %L',      'e.actor = ANY (%L)'),
           ('target',     false, true,  '%L = ANY (e.targets)', 'e.targets && %L'),
           ('category',   false, false, 'e.category = %L',   'e.category = ANY (%L)'),
           ('outcome',    false, false, 'e.outcome = %L',    'e.outcome = ANY (%L)'),
           ('request_id', false, true,  'e.request_id = %L', 'e.request_id = ANY (%L)'),
           ('session_id', false, true,  'e.session_id = %L', 'e.session_id = ANY (%L)'),
           ('ip',         false, true,  'e.ip <<= %L',       'e.ip <<= ANY (%L)')
$$;
COMMENT ON FUNCTION audit_internal.filter_field() IS
    'Returns the fields that filters can name. has_prefixes: a value can be a prefix. has_keys: audit_internal.content_keys has keys of the field. equals and equals_any: formats of the conditions over audit.event AS e.';

CREATE FUNCTION audit_internal.make_filters(
    workspace text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, details jsonb DEFAULT NULL,
    plain jsonb DEFAULT NULL, patterns jsonb DEFAULT NULL
) RETURNS audit_internal.filters
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    asked audit_internal.filters;
BEGIN
    asked.workspace := coalesce(workspace, nullif(current_setting('audit.workspace', true), ''));
    asked.since := since;
    asked.until := until;
    asked.details := details;
    IF asked.workspace IS NULL THEN
        RAISE EXCEPTION 'no workspace given'
            USING ERRCODE = 'ZA002', HINT = 'Pass workspace => ''…'', or run SET LOCAL audit.workspace = ''…'' in the transaction.';
    END IF;
    IF since >= until THEN
        RAISE EXCEPTION 'the range from % to % is empty', since, until
            USING ERRCODE = 'ZA009', HINT = 'since must be before until. The range does not include until.';
    END IF;
    IF jsonb_typeof(patterns) <> 'object' THEN
        RAISE EXCEPTION 'filters is a JSON %, but it must be an object', jsonb_typeof(patterns)
            USING ERRCODE = 'ZA003', HINT = 'Pass filters => ''{"action": ["ticket.*", "login_failed"], "actor!": "system:*"}''.';
    END IF;
    asked.fields := ARRAY(SELECT audit_internal.field_filter(p.key, ARRAY[p.value], false)
                          FROM jsonb_each_text(plain) p WHERE p.value IS NOT NULL)
                    || ARRAY(SELECT audit_internal.field_filter(p.key, audit_internal.filter_values(p.key, p.value), true)
                             FROM jsonb_each(patterns) p);
    RETURN asked;
END
$$;
COMMENT ON FUNCTION audit_internal.make_filters(text, timestamptz, timestamptz, jsonb, jsonb, jsonb) IS
    'Returns the filters that the arguments of a query function stand for. plain has one literal value for each field. patterns has one or several values for each, which can be prefixes. A "!" after the name of a field excludes its values (SQLSTATE ZA002, ZA003, ZA009).';

CREATE FUNCTION audit_internal.filter_values(key text, given jsonb) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    list jsonb := CASE jsonb_typeof(given) WHEN 'array' THEN given ELSE jsonb_build_array(given) END;
BEGIN
    IF EXISTS (SELECT FROM jsonb_array_elements(list) l (value) WHERE jsonb_typeof(l.value) <> 'string') THEN
        RAISE EXCEPTION 'filter "%" is neither a string nor a list of strings', left(key, 100) USING ERRCODE = 'ZA003';
    END IF;
    IF jsonb_array_length(list) NOT BETWEEN 1 AND 50 THEN
        RAISE EXCEPTION 'filter "%" has % values, but it must have between 1 and 50', left(key, 100), jsonb_array_length(list)
            USING ERRCODE = 'ZA003';
    END IF;
    RETURN ARRAY(SELECT jsonb_array_elements_text(list));
END
$$;
COMMENT ON FUNCTION audit_internal.filter_values(text, jsonb) IS 'Returns the values of a filter that is given as a string or a list of strings (SQLSTATE ZA003)';

CREATE FUNCTION audit_internal.field_filter(key text, "values" text[], is_pattern boolean) RETURNS audit_internal.field_filter
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    result audit_internal.field_filter;
    definition record;
    unknown text;
BEGIN
    result.is_excluded := right(key, 1) = '!';
    result.field := CASE WHEN result.is_excluded THEN left(key, -1) ELSE key END;
    SELECT * INTO definition FROM audit_internal.filter_field() f WHERE f.field = result.field;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'filter "%" does not exist', left(key, 100)
            USING ERRCODE = 'ZA003',
                  HINT = format('Filters are %s. A "!" after a name excludes the values.', (SELECT string_agg(f.field, ', ') FROM audit_internal.filter_field() f));
    END IF;

    result.prefixes := '{}';
    IF is_pattern AND definition.has_prefixes THEN
        -- An asterisk at the end stands for any characters. Two asterisks stand for a literal one.
        result.prefixes := ARRAY(SELECT left(v, -1) FROM unnest("values") v WHERE v LIKE '%*' AND v NOT LIKE '%**');
        "values" := ARRAY(SELECT CASE WHEN v LIKE '%**' THEN left(v, -1) ELSE v END
                          FROM unnest("values") v WHERE v NOT LIKE '%*' OR v LIKE '%**');
    END IF;
    result."values" := "values";

    CASE result.field
    WHEN 'outcome' THEN
        unknown := (SELECT v FROM unnest("values") v WHERE v NOT IN ('success', 'failure', 'denied') LIMIT 1);
        IF unknown IS NOT NULL THEN
            RAISE EXCEPTION 'outcome "%" does not exist', left(unknown, 100)
                USING ERRCODE = 'ZA003', HINT = 'Use success, failure or denied.';
        END IF;
        -- An index finds the other outcomes, but not the events without one. At least one outcome must remain.
        IF result.is_excluded AND NOT "values" @> '{success,failure,denied}' THEN
            result.is_excluded := false;
            result."values" := ARRAY(SELECT v FROM unnest('{success,failure,denied}'::text[]) v WHERE v <> ALL ("values"));
        END IF;
    WHEN 'category' THEN
        unknown := (SELECT v FROM unnest("values") v WHERE NOT EXISTS (SELECT FROM audit.category c WHERE c.category = v) LIMIT 1);
        IF unknown IS NOT NULL THEN
            RAISE EXCEPTION 'category "%" does not exist', left(unknown, 100)
                USING ERRCODE = 'ZA003', HINT = 'To list the categories, run SELECT category FROM audit.category.';
        END IF;
    WHEN 'ip' THEN
        result."values" := audit_internal.networks("values");
    ELSE
        NULL;
    END CASE;
    RETURN result;
END
$$;
COMMENT ON FUNCTION audit_internal.field_filter(text, text[], boolean) IS
    'Returns the filter of one field. key is the name of the field, followed by "!" if the values are excluded (SQLSTATE ZA003).';

CREATE FUNCTION audit_internal.field_condition(wanted audit_internal.field_filter) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    definition record;
    condition text;
BEGIN
    SELECT * INTO definition FROM audit_internal.filter_field() f WHERE f.field = wanted.field;
    -- An index gives the events of one value in the order of time. It does not do so for ANY, even with one value.
    condition := CASE cardinality(wanted."values")
                     WHEN 0 THEN NULL
                     WHEN 1 THEN format(definition.equals, wanted."values"[1])
                     ELSE format(definition.equals_any, wanted."values")
                 END;
    condition := concat_ws(' OR ', condition,
                           (SELECT string_agg(format('e.%I LIKE %L ESCAPE ''!''', wanted.field,
                                              replace(replace(replace(p, '!', '!!'), '%', '!%'), '_', '!_') || '%'), ' OR ')
                            FROM unnest(wanted.prefixes) p));
    RETURN format(CASE WHEN wanted.is_excluded THEN '(%s) IS NOT TRUE' ELSE '(%s)' END, condition);
END
$$;
COMMENT ON FUNCTION audit_internal.field_condition(audit_internal.field_filter) IS
    'Returns the condition over audit.event AS e of one filter. An event without a value passes an exclusion.';

CREATE FUNCTION audit_internal.is_sorted(asked audit_internal.filters) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT EXISTS (
        SELECT FROM unnest(asked.fields) f JOIN audit_internal.filter_field() d USING (field)
        WHERE NOT f.is_excluded AND (d.has_keys OR cardinality(f."values") <> 1 OR f.prefixes <> '{}'))
$$;
COMMENT ON FUNCTION audit_internal.is_sorted(audit_internal.filters) IS
    'Returns whether an index has the events that the filters match in the order of time';

CREATE FUNCTION audit_internal.event_filter(asked audit_internal.filters) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    since timestamptz := asked.since;
    until timestamptz := asked.until;
    retention interval;
    shortest integer;
    longest integer;
    exact_from timestamptz;
    kept_from timestamptz;
    held text;
    bounds text;
    clause text;
    wanted audit_internal.field_filter;
    condition text;
    keys bigint[];
    has_keys boolean := false;
BEGIN
    SELECT w.retention, w.shortest_days, w.longest_days, w.settled_at + interval '1 day'
    INTO retention, shortest, longest, exact_from FROM audit.workspace w WHERE w.workspace = asked.workspace;
    IF NOT FOUND THEN
        retention := audit_internal.default_retention();
        exact_from := '-infinity';
    END IF;
    kept_from := audit_internal.midnight(audit_internal.first_kept_day(retention, audit_internal.today()));
    held := audit_internal.held_condition(asked.workspace);

    FOREACH wanted IN ARRAY asked.fields LOOP
        condition := audit_internal.field_condition(wanted);
        keys := CASE WHEN NOT wanted.is_excluded AND (SELECT f.has_keys FROM audit_internal.filter_field() f WHERE f.field = wanted.field)
                     THEN audit_internal.wanted_keys(asked.workspace, wanted.field, wanted."values") END;
        IF keys IS NOT NULL THEN
            has_keys := true;
            condition := format(
                'audit_internal.found_by_keys(audit_internal.content_keys(e.workspace, e.targets, e.request_id, e.session_id, e.ip), '
                'e.workspace, %L, %L, %s)', asked.workspace, keys, condition);
        END IF;
        clause := concat_ws(' AND ', clause, condition);
    END LOOP;
    -- found_by_keys compares the workspace. If the clause had a second comparison, the planner would take the two for
    -- independent.
    IF NOT has_keys THEN
        clause := concat_ws(' AND ', format('e.workspace = %L', asked.workspace), clause);
    END IF;
    IF asked.details IS NOT NULL THEN
        clause := clause || format(' AND e.details @> %L', asked.details);
    END IF;
    IF held IS NULL THEN
        since := greatest(since, kept_from);
    ELSIF held <> 'true' THEN
        clause := clause || format(' AND (e.occurred_at >= %L OR %s)', kept_from, held);
    END IF;
    IF since IS NOT NULL THEN
        clause := clause || format(' AND e.occurred_at >= %L', since);
    END IF;
    IF until IS NOT NULL THEN
        clause := clause || format(' AND e.occurred_at < %L', until);
    END IF;

    -- expires_on follows from occurred_at. The bounds repeat the period in terms of expires_on, so that partitions are pruned.
    -- One day is left for clocks that differ.
    IF since BETWEEN now() - interval '200 years' AND now() + interval '1 day' THEN
        bounds := format('e.expires_on >= %L', CASE WHEN since >= exact_from THEN audit_internal.expires_on(since, retention)
                                                    ELSE (since AT TIME ZONE 'UTC')::date + shortest END);
    END IF;
    IF until IS NULL OR until BETWEEN now() - interval '200 years' AND now() + interval '1 day' THEN
        bounds := concat_ws(' AND ', bounds, format(
            'e.expires_on <= %L', CASE WHEN coalesce(since, '-infinity') >= exact_from THEN audit_internal.expires_on(coalesce(until, now() + interval '2 days'), retention)
                                       ELSE (coalesce(until, now() + interval '2 days') AT TIME ZONE 'UTC')::date + longest END));
    END IF;
    IF bounds IS NOT NULL AND EXISTS (SELECT FROM audit.legal_hold h WHERE h.workspace = asked.workspace AND h.cleared_at IS NULL) THEN
        bounds := format('(%s OR e.expires_on = ''infinity'')', bounds);
    END IF;
    RETURN concat_ws(' AND ', clause, bounds);
END
$$;
COMMENT ON FUNCTION audit_internal.event_filter(audit_internal.filters) IS 'Returns the WHERE clause, over audit.event AS e, of the filters';

CREATE FUNCTION audit_internal.newest_events(asked audit_internal.filters, max_events integer) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF max_events NOT BETWEEN 1 AND 10000000 THEN
        RAISE EXCEPTION 'max_events is %, but it must be between 1 and 10000000', max_events USING ERRCODE = 'ZA003';
    END IF;
    RETURN format('SELECT e.* FROM audit.event e WHERE %s', audit_internal.event_filter(asked))
           || coalesce(' ORDER BY e.workspace DESC, e.occurred_at DESC, e.id DESC LIMIT ' || max_events, '');
END
$$;
COMMENT ON FUNCTION audit_internal.newest_events(audit_internal.filters, integer) IS
    'Returns the query for the newest events that the filters match, at most max_events, or all if max_events is NULL (SQLSTATE ZA003)';

-- A bucket of less than a day is counted from midnight, so that the hours of a day on which the clocks change stay apart.
CREATE FUNCTION audit_internal.bucket_start(bucket interval, zone text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    months integer := extract(year FROM bucket) * 12 + extract(month FROM bucket);
    seconds numeric := extract(epoch FROM bucket - make_interval(months => months));
BEGIN
    IF bucket IS NULL OR zone IS NULL OR months < 0 OR seconds < 0 OR months = 0 AND seconds < 1 THEN
        RAISE EXCEPTION 'bucket is % in zone %, but it must be at least one second in a time zone', coalesce(bucket::text, 'NULL'), coalesce(zone, 'NULL')
            USING ERRCODE = 'ZA003';
    END IF;
    IF months > 0 AND seconds > 0 THEN
        RAISE EXCEPTION 'bucket is %, but it must not combine months with shorter units', bucket USING ERRCODE = 'ZA003';
    END IF;
    RETURN CASE
        WHEN months > 0 THEN format(
            $q$(date_trunc('month', e.occurred_at AT TIME ZONE %2$L) - make_interval(months =>
                (extract(year FROM e.occurred_at AT TIME ZONE %2$L)::integer * 12 + extract(month FROM e.occurred_at AT TIME ZONE %2$L)::integer - 1) %% %1$s))
               AT TIME ZONE %2$L$q$, months, zone)
        WHEN seconds >= 86400 THEN format(
            -- The first day of the year 1 was a Monday.
            $q$date_bin(make_interval(secs => %1$s), e.occurred_at AT TIME ZONE %2$L, timestamp '0001-01-01') AT TIME ZONE %2$L$q$, seconds, zone)
        ELSE format(
            $q$(date_trunc('day', e.occurred_at, %2$L) + make_interval(secs =>
                (floor(extract(epoch FROM e.occurred_at - date_trunc('day', e.occurred_at, %2$L)) / %1$s) * %1$s)::float8))$q$, seconds, zone)
    END;
END
$$;
COMMENT ON FUNCTION audit_internal.bucket_start(interval, text) IS
    'Returns the expression, over audit.event AS e, of the beginning of the bucket of an event. Buckets of days, weeks, months and years are those of the calendar of a time zone; weeks begin on Monday (SQLSTATE ZA003).';

CREATE FUNCTION audit_internal.event_columns() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT audit_internal.line_columns()
           || $q$, (extract(epoch FROM e.occurred_at) * 1000000)::bigint || '.' || e.id AS cursor,
                 CASE WHEN audit_internal.is_redacted(e.salt) THEN audit_internal.redactions(e.id) END AS redactions$q$
$$;
COMMENT ON FUNCTION audit_internal.event_columns() IS 'Returns the select list, over audit.event AS e, of type audit.event_result';

CREATE FUNCTION audit_internal.partition_begin(occurred_at timestamptz, retention interval) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT audit_internal.midnight(audit_internal.first_kept_day(retention, date_trunc('month', audit_internal.expires_on(occurred_at, retention)::timestamp)::date))
$$;
COMMENT ON FUNCTION audit_internal.partition_begin(timestamptz, interval) IS
    'Returns the earliest time of events that share the partition of events of the given time, under a retention';

CREATE FUNCTION audit_internal.parse_cursor(cursor text, OUT occurred_at timestamptz, OUT id bigint)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part text[] := regexp_match(cursor, '^(-[0-9]{1,17}|[0-9]{1,18})[.]([0-9]{1,18})$');
BEGIN
    IF part IS NULL THEN
        RAISE EXCEPTION 'cursor "%" was not returned by audit.events', left(cursor, 100)
            USING ERRCODE = 'ZA008', HINT = 'Pass the cursor of the last row unchanged, with the same filters.';
    END IF;
    occurred_at := timestamptz '1970-01-01 00:00:00+00' + part[1]::bigint * interval '1 microsecond';
    id := part[2]::bigint;
END
$$;
COMMENT ON FUNCTION audit_internal.parse_cursor(text) IS 'Returns the place in the audit log that a cursor stands for (SQLSTATE ZA008)';
