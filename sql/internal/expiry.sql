-- How long events are kept. The retention in force decides, for events stored before it was set, too: an event is kept up to and
-- including the day (UTC) it occurred on plus the retention of its workspace, and while a legal hold covers it.

CREATE FUNCTION audit_internal.default_retention() RETURNS interval
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_default_retention';
COMMENT ON FUNCTION audit_internal.default_retention() IS 'Retention of a workspace that none was set for';

CREATE FUNCTION audit_internal.shortest_retention() RETURNS interval
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_shortest_retention';
COMMENT ON FUNCTION audit_internal.shortest_retention() IS 'The shortest retention that a workspace may have, in days';

CREATE FUNCTION audit_internal.retention_in_force(workspace text) RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT w.retention FROM audit.workspace w WHERE w.workspace = retention_in_force.workspace), audit_internal.default_retention())
$$;
COMMENT ON FUNCTION audit_internal.retention_in_force(text) IS 'How long events of a workspace are kept now';

CREATE FUNCTION audit_internal.expires_on(occurred_at timestamptz, retention interval) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT ((occurred_at AT TIME ZONE 'UTC')::date + retention)::date $$;
COMMENT ON FUNCTION audit_internal.expires_on(timestamptz, interval) IS
    'Last day (UTC) on which an event is kept; months are calendar months, cut off at their end (31 January + 1 month is 28 February)';

CREATE FUNCTION audit_internal.first_kept_day(retention interval, today date) RETURNS date
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    day date := (today - retention)::date;
BEGIN
    -- Months have different lengths: what is subtracted is not always what was added, but never off by more than some days.
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
    'First day (UTC) whose events are still kept on the day given: the first whose audit_internal.expires_on is that day or later';

CREATE FUNCTION audit_internal.length_in_days(retention interval, OUT shortest integer, OUT longest integer)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- Nine years around one that is no leap year though divisible by four: the extremes are among them, but for a day in a century.
    SELECT min((day + retention)::date - day), max((day + retention)::date - day)
    FROM (SELECT date '2096-01-01' + n AS day FROM generate_series(0, 3287) n) d
$$;
COMMENT ON FUNCTION audit_internal.length_in_days(interval) IS 'How many days a retention has at least and at most, depending on when it begins; in spans of decades a day less or more is possible';

CREATE FUNCTION audit_internal.today() RETURNS date
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT (now() AT TIME ZONE 'UTC')::date $$;
COMMENT ON FUNCTION audit_internal.today() IS 'The day it is, in UTC';

CREATE FUNCTION audit_internal.midnight(day date) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT day::timestamp AT TIME ZONE 'UTC' $$;
COMMENT ON FUNCTION audit_internal.midnight(date) IS 'When a day begins, in UTC';

-- With the owner's rights, because cursors of audit.export_leaves call it when their owner fetches from them.
CREATE FUNCTION audit_internal.is_kept(workspace text, occurred_at timestamptz, actor text, targets text[]) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    -- For each event that is removed: a function within would take longer than the rest.
    RETURN audit_internal.expires_on(occurred_at, coalesce((SELECT w.retention FROM audit.workspace w WHERE w.workspace = is_kept.workspace),
                                                  audit_internal.default_retention())) >= audit_internal.today()
        OR EXISTS (SELECT FROM audit.legal_hold h
                   WHERE h.workspace = is_kept.workspace AND h.released_at IS NULL
                     AND (h.actor IS NULL OR h.actor = is_kept.actor)
                     AND (h.target IS NULL OR h.target = ANY (is_kept.targets)));
END
$$;
COMMENT ON FUNCTION audit_internal.is_kept(text, timestamptz, text, text[]) IS
    'Whether an event is within retention or under legal hold today: others are not shown, and maintenance removes them';

CREATE FUNCTION audit_internal.settle_retentions() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- The clock may be behind that of the machine that appended before.
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
    'Notes which changes of retention no transaction is left that does not know of, and waits for those of now where some may be';
