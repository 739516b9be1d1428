-- Retention: the time for which the events of a workspace are kept, and presets for it.

CREATE TABLE audit.retention_preset (
    preset text PRIMARY KEY,
    retention interval NOT NULL,
    source text NOT NULL
);
COMMENT ON TABLE audit.retention_preset IS 'Retention periods that common frameworks require';
COMMENT ON COLUMN audit.retention_preset.preset IS 'Name of the framework';
COMMENT ON COLUMN audit.retention_preset.retention IS 'Minimum period for which the framework requires records to be kept';
COMMENT ON COLUMN audit.retention_preset.source IS 'Source of the requirement';

INSERT INTO audit.retention_preset (preset, retention, source) VALUES
    ('default', audit_internal.default_retention(), 'One year, and one month more to compare it with the year before'),
    ('pci-dss', interval '12 months', 'PCI DSS v4.0.1, requirement 10.5.1: audit log history of at least 12 months, the last three immediately available'),
    ('hipaa', interval '6 years', '45 CFR 164.316(b)(2)(i): documentation for six years from its creation or from when it was last in effect'),
    ('sox', interval '7 years', '17 CFR 210.2-06: records relevant to an audit or review for seven years after it ends');

CREATE FUNCTION audit.preset(preset text) RETURNS interval
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found interval := (SELECT p.retention FROM audit.retention_preset p WHERE p.preset = lower(preset.preset COLLATE "C"));
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'retention preset "%" does not exist', coalesce(left(preset, 100), 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'To list the presets, run SELECT * FROM audit.retention_preset.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION audit.preset(text) IS
    'Returns the retention that a framework requires, for calls such as audit.set_retention(''acme'', audit.preset(''hipaa'')) (SQLSTATE ZA003)';

CREATE FUNCTION audit.set_retention(workspace text, retention interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET intervalstyle = 'postgres'
AS $$
#variable_conflict use_variable
DECLARE
    days record;
    before interval;
    days_before record;
BEGIN
    PERFORM audit_internal.check_workspace(workspace);
    days := audit_internal.check_retention(retention);

    PERFORM audit_internal.lock_settings();
    SELECT w.retention INTO before FROM audit.workspace w WHERE w.workspace = set_retention.workspace;
    IF before::text = retention::text THEN
        RETURN;
    END IF;
    before := coalesce(before, audit_internal.default_retention());
    days_before := audit_internal.length_in_days(before);
    INSERT INTO audit.workspace AS w (workspace, retention, changed_at, changed_by, shortest_days, longest_days)
    VALUES (workspace, retention, clock_timestamp(), audit_internal.who(),
            least(days.shortest, days_before.shortest) - 1, greatest(days.longest, days_before.longest) + 1)
    ON CONFLICT ON CONSTRAINT workspace_pkey DO UPDATE
    SET retention = excluded.retention, changed_at = excluded.changed_at, changed_by = excluded.changed_by,
        shortest_days = least(w.shortest_days, excluded.shortest_days),
        longest_days = greatest(w.longest_days, excluded.longest_days),
        settling_after = NULL, settled_at = NULL, removed_before = NULL;

    -- Appends under the new retention then need not create partitions in their own transactions.
    PERFORM audit_internal.create_partition(m.month) FROM audit_internal.missing_months(retention, 3) m;
    PERFORM audit.append('retention_changed', workspace => workspace, actor => audit_internal.who(), target => 'workspace:' || workspace,
                         details => jsonb_build_object('from', before::text, 'to', retention::text));
END
$$;
COMMENT ON FUNCTION audit.set_retention(text, interval) IS
    'Sets the time, at least 60 days, for which events of a workspace are kept, including stored ones, and records an event (SQLSTATE ZA003, ZA011)';

CREATE FUNCTION audit.retention_setting(
    INOUT workspace text,
    OUT retention interval,
    OUT since timestamptz,
    OUT set_by text,
    OUT kept_since timestamptz
)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM audit_internal.check_workspace(workspace);
    SELECT w.retention, w.changed_at, w.changed_by INTO retention, since, set_by
    FROM audit.workspace w WHERE w.workspace = retention_setting.workspace;
    retention := coalesce(retention, audit_internal.default_retention());
    kept_since := audit_internal.midnight(audit_internal.first_kept_day(retention, audit_internal.today()));
END
$$;
COMMENT ON FUNCTION audit.retention_setting(text) IS
    'Returns the retention in force, since when and set by whom (NULL: the default), and the time since which events are kept. Reads no event (SQLSTATE ZA003).';

CREATE FUNCTION audit.retention(
    INOUT workspace text,
    OUT retention interval,
    OUT since timestamptz,
    OUT set_by text,
    OUT events bigint,
    OUT bytes bigint,
    OUT oldest timestamptz,
    OUT to_remove bigint,
    OUT legal_holds bigint
)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
BEGIN
    SELECT s.retention, s.since, s.set_by INTO retention, since, set_by FROM audit.retention_setting(workspace) s;
    EXECUTE format(
        $q$SELECT count(*), min(e.occurred_at),
                  coalesce(sum(pg_column_size(e.details) + pg_column_size(e.targets)
                               + coalesce(octet_length(e.actor), 0) + coalesce(octet_length(e.user_agent), 0)
                               + coalesce(octet_length(e.session_id), 0) + coalesce(octet_length(e.request_id), 0)
                               + octet_length(e.workspace) + octet_length(e.action) + 150), 0)::bigint
           FROM audit.event e WHERE %s$q$,
        audit_internal.event_filter(audit_internal.make_filters(workspace))) INTO events, oldest, bytes;
    to_remove := (SELECT count(*) FROM audit.event e WHERE e.workspace = retention.workspace) - events;
    legal_holds := (SELECT count(*) FROM audit.legal_hold h WHERE h.workspace = retention.workspace AND h.released_at IS NULL);
END
$$;
COMMENT ON FUNCTION audit.retention(text) IS
    'Returns the retention in force, since when and set by whom (NULL: the default), and statistics. These are the stored events, their bytes without indexes, the oldest, expired events not yet removed, and active legal holds. Reads all events of the workspace.';

-- VOLATILE, because PostgreSQL refuses EXPLAIN in other functions.
CREATE FUNCTION audit.preview_retention(workspace text, retention interval DEFAULT NULL, months integer DEFAULT 12)
    RETURNS TABLE (month date, first_day date, last_day date, events bigint, is_exact boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
DECLARE
    today constant date := audit_internal.today();
    present interval;
    shown_from date;
    kept_from date;
    held text;
    clause text;
    plan json;
    budget bigint := 200000;
BEGIN
    PERFORM audit_internal.check_workspace(workspace);
    present := audit_internal.retention_in_force(workspace);
    IF retention IS NULL THEN
        retention := present;
    ELSE
        PERFORM audit_internal.check_retention(retention);
    END IF;
    IF months IS NULL OR months NOT BETWEEN 1 AND 120 THEN
        RAISE EXCEPTION 'months is %, but it must be between 1 and 120', coalesce(months::text, 'NULL') USING ERRCODE = 'ZA003';
    END IF;
    shown_from := audit_internal.first_kept_day(present, today);
    kept_from := audit_internal.first_kept_day(retention, today);
    held := audit_internal.held_condition(workspace);

    FOR place IN 0 .. months LOOP
        -- The first row has the events that queries show now, but would not show under the given retention.
        IF place = 0 THEN
            month := NULL;
            first_day := shown_from;
            last_day := kept_from - 1;
        ELSE
            month := date_trunc('month', today::timestamp) + (place - 1) * interval '1 month';
            first_day := greatest(kept_from, audit_internal.first_kept_day(retention, month));
            last_day := audit_internal.first_kept_day(retention, (month + interval '1 month')::date) - 1;
        END IF;
        events := 0;
        is_exact := true;
        IF first_day > last_day THEN
            first_day := NULL;
            last_day := NULL;
            RETURN NEXT;
            CONTINUE;
        END IF;
        clause := audit_internal.event_filter(audit_internal.make_filters(
            workspace, audit_internal.midnight(first_day), audit_internal.midnight(last_day + 1)));
        IF held IS NOT NULL THEN
            clause := format('%s AND (%s) IS NOT TRUE', clause, held);
        END IF;
        EXECUTE format('SELECT count(*) FROM (SELECT FROM audit.event e WHERE %s LIMIT %s) e', clause, budget + 1) INTO events;
        IF events > budget THEN
            EXECUTE format('EXPLAIN (FORMAT JSON) SELECT FROM audit.event e WHERE %s', clause) INTO plan;
            events := greatest(events, (plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric);
            is_exact := false;
        END IF;
        budget := greatest(budget - events, 0);
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit.preview_retention(text, interval, integer) IS
    'Returns how many events that queries show now would expire under a retention (NULL: the one in force): one row (month NULL) for those hidden at once, and one for each month of last days. Omits events under legal hold. Counts 200,000 events, and estimates the others (SQLSTATE ZA003, ZA011).';
