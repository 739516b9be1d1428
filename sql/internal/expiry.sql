-- Expiry of events. The retention in force decides, also for events that were stored before it was set. An event is kept up to
-- and including the day (UTC) of its occurrence plus the retention of its workspace. While a legal hold covers an event, it is
-- kept longer.

CREATE FUNCTION audit_internal.default_retention() RETURNS interval
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_default_retention';
COMMENT ON FUNCTION audit_internal.default_retention() IS 'Returns the retention of workspaces that have none of their own';

CREATE FUNCTION audit_internal.shortest_retention() RETURNS interval
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_shortest_retention';
COMMENT ON FUNCTION audit_internal.shortest_retention() IS 'Returns the shortest retention that a workspace can have, in days';

CREATE FUNCTION audit_internal.retention_in_force(workspace text) RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT w.retention FROM audit.workspace w WHERE w.workspace = retention_in_force.workspace), audit_internal.default_retention())
$$;
COMMENT ON FUNCTION audit_internal.retention_in_force(text) IS 'Returns the retention of a workspace that is in force now';

CREATE FUNCTION audit_internal.expires_on(occurred_at timestamptz, retention interval) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT ((occurred_at AT TIME ZONE 'UTC')::date + retention)::date $$;
COMMENT ON FUNCTION audit_internal.expires_on(timestamptz, interval) IS
    'Returns the last day (UTC) on which an event is kept. Months are calendar months, limited to their last day: 31 January + 1 month is 28 February.';

CREATE FUNCTION audit_internal.first_kept_day(retention interval, today date) RETURNS date
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    day date := (today - retention)::date;
BEGIN
    -- Months differ in length. The difference can be wrong by a few days, which the loops correct.
    WHILE (day + retention)::date < today LOOP
        day := day + 1;
    END LOOP;
    WHILE (day - 1 + retention)::date >= today LOOP
        day := day - 1;
    END LOOP;
    RETURN day;
END
$$;
COMMENT ON FUNCTION audit_internal.first_kept_day(interval, date) IS
    'Returns the first day (UTC) whose events are still kept on the given day. It is the first whose audit_internal.expires_on is that day or later.';

CREATE FUNCTION audit_internal.length_in_days(retention interval, OUT shortest integer, OUT longest integer)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Nine years around 2100, which is divisible by four but not a leap year, include both extremes. Spans of a century can
    -- differ by a day.
    SELECT min((day + retention)::date - day), max((day + retention)::date - day)
    FROM (SELECT date '2096-01-01' + n AS day FROM generate_series(0, 3287) n) d
$$;
COMMENT ON FUNCTION audit_internal.length_in_days(interval) IS 'Returns the least and greatest number of days that a retention can have, depending on its first day. For spans of decades, each can be wrong by one day.';

CREATE FUNCTION audit_internal.check_retention(retention interval, OUT shortest integer, OUT longest integer)
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET intervalstyle = 'postgres'
AS $$
DECLARE
    floor constant integer := extract(day FROM audit_internal.shortest_retention());
BEGIN
    IF retention IS NULL OR extract(epoch FROM retention - date_trunc('day', retention)) <> 0
       OR extract(day FROM retention) < 0 OR extract(year FROM retention) < 0 OR extract(month FROM retention) < 0 THEN
        RAISE EXCEPTION 'retention is %, but it must consist of whole months and days', coalesce(retention::text, 'NULL')
            USING ERRCODE = 'ZA011', HINT = format('Use a retention such as interval ''13 months'' or interval ''90 days''. The minimum is %s days.', floor);
    END IF;
    IF extract(year FROM retention) > 100 OR extract(day FROM retention) > 36525
       OR (audit_internal.length_in_days(retention)).longest > 36525 THEN
        RAISE EXCEPTION 'retention is %, but it must be at most 100 years', retention USING ERRCODE = 'ZA011';
    END IF;
    SELECT d.shortest, d.longest INTO shortest, longest FROM audit_internal.length_in_days(retention) d;
    IF shortest < floor THEN
        RAISE EXCEPTION 'retention of % can be as short as % days, but it must be at least % days', retention, shortest, floor
            USING ERRCODE = 'ZA011', HINT = format('Use at least %s days. Two months can have 59 days.', floor);
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.check_retention(interval) IS
    'Refuses a retention that a workspace cannot have, and NULL. Returns its length in days as audit_internal.length_in_days does (SQLSTATE ZA011).';

CREATE FUNCTION audit_internal.today() RETURNS date
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT (now() AT TIME ZONE 'UTC')::date $$;
COMMENT ON FUNCTION audit_internal.today() IS 'Returns the present day in UTC';

CREATE FUNCTION audit_internal.midnight(day date) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT day::timestamp AT TIME ZONE 'UTC' $$;
COMMENT ON FUNCTION audit_internal.midnight(date) IS 'Returns the time at which a day begins in UTC';

-- SECURITY DEFINER, because cursors of audit.export_leaves call it when their owner fetches from them.
CREATE FUNCTION audit_internal.is_kept(workspace text, occurred_at timestamptz, actor text, targets text[]) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    -- This runs for each event that is removed. Another function call would take longer than everything else here.
    RETURN audit_internal.expires_on(occurred_at, coalesce((SELECT w.retention FROM audit.workspace w WHERE w.workspace = is_kept.workspace),
                                                  audit_internal.default_retention())) >= audit_internal.today()
        OR EXISTS (SELECT FROM audit.legal_hold h
                   WHERE h.workspace = is_kept.workspace AND h.released_at IS NULL
                     AND (h.actor IS NULL OR h.actor = is_kept.actor)
                     AND (h.target IS NULL OR h.target = ANY (is_kept.targets)));
END
$$;
COMMENT ON FUNCTION audit_internal.is_kept(text, timestamptz, text, text[]) IS
    'Returns whether an event is within retention or under legal hold today. Queries hide other events, and maintenance removes them.';

CREATE FUNCTION audit_internal.settle_retentions() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- The clock can be behind that of a machine that appended before.
    UPDATE audit.workspace w
    SET settling_after = NULL,
        settled_at = greatest(clock_timestamp(), w.changed_at,
                              (SELECT max(e.occurred_at) FROM audit.event e WHERE e.workspace = w.workspace))
    WHERE w.settled_at IS NULL AND w.settling_after < pg_snapshot_xmin(pg_current_snapshot());
    UPDATE audit.workspace w SET settling_after = pg_current_xact_id()
    WHERE w.settled_at IS NULL AND (w.settling_after IS NULL OR w.settling_after > pg_current_xact_id());
END
$$;
COMMENT ON FUNCTION audit_internal.settle_retentions() IS
    'Settles the changes of retention that every running transaction knows of. Other changes wait for the transactions that are running now.';
