-- The text of the query functions' statements: filters, columns, and places in the audit log.

CREATE FUNCTION audit_internal.event_filter(
    workspace text, action text, actor text, target text, category text, outcome text,
    since timestamptz, until timestamptz, details jsonb
) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
DECLARE
    space text := coalesce(workspace, nullif(current_setting('audit.workspace', true), ''));
    retention interval;
    shortest integer;
    longest integer;
    exact_from timestamptz;
    kept_from timestamptz;
    held text;
    bounds text;
    clause text;
BEGIN
    IF space IS NULL THEN
        RAISE EXCEPTION 'no workspace given'
            USING ERRCODE = 'ZA002', HINT = 'Pass workspace => ''…'' or SET LOCAL audit.workspace = ''…''.';
    END IF;
    IF since >= until THEN
        RAISE EXCEPTION 'the range from % to % is empty', since, until
            USING ERRCODE = 'ZA009', HINT = 'since must be before until; until itself is not included.';
    END IF;
    IF outcome NOT IN ('success', 'failure', 'denied') THEN
        RAISE EXCEPTION 'outcome "%" does not exist', left(outcome, 100)
            USING ERRCODE = 'ZA003', HINT = 'Outcomes are success, failure and denied.';
    END IF;
    IF category IS NOT NULL AND NOT EXISTS (SELECT FROM audit.category c WHERE c.category = event_filter.category) THEN
        RAISE EXCEPTION 'category "%" does not exist', left(category, 100)
            USING ERRCODE = 'ZA003', HINT = 'SELECT category FROM audit.category lists them.';
    END IF;

    SELECT w.retention, w.shortest_days, w.longest_days, w.settled_at + interval '1 day'
    INTO retention, shortest, longest, exact_from FROM audit.workspace w WHERE w.workspace = space;
    IF NOT FOUND THEN
        retention := audit_internal.default_retention();
        exact_from := '-infinity';
    END IF;
    kept_from := audit_internal.midnight(audit_internal.first_kept_day(retention, audit_internal.today()));
    held := audit_internal.held_condition(space);

    IF target IS NULL THEN
        clause := format('e.workspace = %L', space);
    ELSE
        clause := format('audit_internal.has_target(audit_internal.target_keys(e.workspace, e.targets), e.workspace, e.targets, %L, %L)', space, target);
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

    -- expires_on follows from occurred_at: said once more in its terms, so that partitions are pruned. A day is left for clocks that differ.
    IF since BETWEEN now() - interval '200 years' AND now() + interval '1 day' THEN
        bounds := format('e.expires_on >= %L', CASE WHEN since >= exact_from THEN audit_internal.expires_on(since, retention)
                                                    ELSE (since AT TIME ZONE 'UTC')::date + shortest END);
    END IF;
    IF until IS NULL OR until BETWEEN now() - interval '200 years' AND now() + interval '1 day' THEN
        bounds := concat_ws(' AND ', bounds, format(
            'e.expires_on <= %L', CASE WHEN coalesce(since, '-infinity') >= exact_from THEN audit_internal.expires_on(coalesce(until, now() + interval '2 days'), retention)
                                       ELSE (coalesce(until, now() + interval '2 days') AT TIME ZONE 'UTC')::date + longest END));
    END IF;
    IF bounds IS NOT NULL AND EXISTS (SELECT FROM audit.legal_hold h WHERE h.workspace = space AND h.cleared_at IS NULL) THEN
        bounds := format('(%s OR e.expires_on = ''infinity'')', bounds);
    END IF;
    clause := concat_ws(' AND ', clause, bounds);
    IF action IS NOT NULL THEN
        clause := clause || format(' AND e.action = %L', action);
    END IF;
    IF category IS NOT NULL THEN
        clause := clause || format(' AND e.category = %L', category);
    END IF;
    IF actor IS NOT NULL THEN
        clause := clause || format(' AND e.actor = %L', actor);
    END IF;
    IF outcome IS NOT NULL THEN
        clause := clause || format(' AND e.outcome = %L', outcome);
    END IF;
    IF details IS NOT NULL THEN
        clause := clause || format(' AND e.details @> %L', details);
    END IF;
    RETURN clause;
END
$$;
COMMENT ON FUNCTION audit_internal.event_filter(text, text, text, text, text, text, timestamptz, timestamptz, jsonb) IS
    'The WHERE clause, over audit.event AS e, of the filters given; NULL filters nothing (SQLSTATE ZA002, ZA003, ZA009)';

CREATE FUNCTION audit_internal.event_columns() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT audit_internal.line_columns()
           || $q$, (extract(epoch FROM e.occurred_at) * 1000000)::bigint || '.' || e.id AS cursor,
                 CASE WHEN audit_internal.is_redacted(e.salt) THEN audit_internal.redactions(e.id) END AS redactions$q$
$$;
COMMENT ON FUNCTION audit_internal.event_columns() IS 'The select list, over audit.event AS e, of type audit.event_result';

CREATE FUNCTION audit_internal.partition_begin(occurred_at timestamptz, retention interval) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT audit_internal.midnight(audit_internal.first_kept_day(retention, date_trunc('month', audit_internal.expires_on(occurred_at, retention)::timestamp)::date))
$$;
COMMENT ON FUNCTION audit_internal.partition_begin(timestamptz, interval) IS
    'When the first events occurred that a retention puts into the same partition as those of a time';

CREATE FUNCTION audit_internal.parse_cursor(cursor text, OUT occurred_at timestamptz, OUT id bigint)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part text[] := regexp_match(cursor, '^(-[0-9]{1,17}|[0-9]{1,18})[.]([0-9]{1,18})$');
BEGIN
    IF part IS NULL THEN
        RAISE EXCEPTION 'cursor "%" is not one that audit.events returned', left(cursor, 100)
            USING ERRCODE = 'ZA008', HINT = 'Pass the cursor of the last row unchanged, with the same filters.';
    END IF;
    occurred_at := timestamptz '1970-01-01 00:00:00+00' + part[1]::bigint * interval '1 microsecond';
    id := part[2]::bigint;
END
$$;
COMMENT ON FUNCTION audit_internal.parse_cursor(text) IS 'The place in the log that a cursor stands for (SQLSTATE ZA008)';
