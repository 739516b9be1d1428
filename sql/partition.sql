-- One partition per month of expiry. They are ordinary tables, not members of the extension, so pg_dump carries them.

CREATE FUNCTION audit.revoke_all(relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = relation AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', relation, grantee);
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit.revoke_all(regclass) IS
    'Takes from everyone but the owner what ALTER DEFAULT PRIVILEGES has granted on a table, view or sequence';

CREATE FUNCTION audit.create_partition(expiry_month date) RETURNS regclass
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET default_tablespace = ''
    SET default_table_access_method = 'heap'
AS $$
DECLARE
    first_day date := date_trunc('month', expiry_month::timestamp);
    name text := 'event_' || to_char(first_day, 'YYYY_MM');
    partition regclass;
BEGIN
    -- Serialises two that find the same month missing; conflicts with no append and no query.
    LOCK TABLE ONLY audit.event IN SHARE UPDATE EXCLUSIVE MODE;
    partition := to_regclass('audit.' || name);
    IF partition IS NOT NULL THEN
        RETURN partition;
    END IF;

    EXECUTE format('CREATE TABLE audit.%I (LIKE audit.event INCLUDING DEFAULTS INCLUDING STORAGE)', name);
    PERFORM audit.revoke_all(to_regclass('audit.' || name));
    EXECUTE format('ALTER TABLE audit.%I ADD PRIMARY KEY (id)', name);
    EXECUTE format('CREATE INDEX %I ON audit.%I (workspace, occurred_at, id)', name || '_occurred_at', name);
    EXECUTE format('CREATE INDEX %I ON audit.%I (workspace, action, occurred_at, id)', name || '_action', name);
    EXECUTE format('CREATE INDEX %I ON audit.%I (workspace, actor, occurred_at, id)', name || '_actor', name);
    -- Partial where the common values are served by the index on time.
    EXECUTE format('CREATE INDEX %I ON audit.%I (workspace, category, occurred_at, id) '
                   'WHERE category IN (''auth'', ''admin'', ''feedback'', ''audit'')', name || '_category', name);
    EXECUTE format('CREATE INDEX %I ON audit.%I (workspace, outcome, occurred_at, id) '
                   'WHERE outcome <> ''success''', name || '_outcome', name);
    EXECUTE format('CREATE INDEX %I ON audit.%I USING gin (audit.target_keys(workspace, targets), details jsonb_path_ops)',
                   name || '_content', name);
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', name);
    EXECUTE format('ALTER TABLE audit.%I ENABLE ALWAYS TRIGGER refuse_change', name);
    EXECUTE format('COMMENT ON TABLE audit.%I IS %L', name,
                   'Events that expire in ' || to_char(first_day, 'FMMonth YYYY'));
    EXECUTE format('ALTER TABLE audit.event ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)',
                   name, first_day, (first_day + interval '1 month')::date);

    -- Not a member of the extension and not a partition: DROP EXTENSION without CASCADE stops here.
    IF to_regclass('audit.event_keeper') IS NULL THEN
        CREATE VIEW audit.event_keeper AS SELECT id FROM audit.event;
        PERFORM audit.revoke_all('audit.event_keeper');
        COMMENT ON VIEW audit.event_keeper IS 'Keeps DROP EXTENSION audit_log from dropping the events with it';
    END IF;
    RETURN to_regclass('audit.' || name);
END
$$;
COMMENT ON FUNCTION audit.create_partition(date) IS
    'Makes the partition for events that expire in the month of the given day, if it is missing';

CREATE FUNCTION audit.maintain(months_ahead integer DEFAULT 3)
    RETURNS TABLE (task text, object text, amount bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    month date;
    removed bigint;
BEGIN
    IF months_ahead IS NULL OR months_ahead NOT BETWEEN 1 AND 24 THEN
        RAISE EXCEPTION 'months_ahead is %, it must be between 1 and 24', coalesce(months_ahead::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    FOR month IN
        SELECT DISTINCT date_trunc('month', today + r.retention + make_interval(months => n))::date
        FROM (SELECT interval '13 months' AS retention UNION SELECT w.retention FROM audit.workspace w) r,
             generate_series(0, months_ahead) n
        ORDER BY 1
    LOOP
        object := 'audit.event_' || to_char(month, 'YYYY_MM');
        IF to_regclass(object) IS NULL THEN
            PERFORM audit.create_partition(month);
            task := 'partition created';
            amount := 1;
            RETURN NEXT;
        END IF;
    END LOOP;

    DELETE FROM audit.idempotency_key k WHERE k.recorded_at < now() - interval '48 hours';
    GET DIAGNOSTICS removed = ROW_COUNT;
    IF removed > 0 THEN
        task := 'idempotency keys removed';
        object := 'audit.idempotency_key';
        amount := removed;
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION audit.maintain(integer) IS
    'Does what is due (partitions for the coming months, idempotency keys older than 48 hours) and returns a row per thing done';

CREATE FUNCTION audit.is_judged(partition regclass) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
AS $$
    SELECT coalesce(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([0-9-]+)''\)')::date
                    <= (now() AT TIME ZONE 'UTC')::date, false)
    FROM pg_class c WHERE c.oid = partition
$$;
COMMENT ON FUNCTION audit.is_judged(regclass) IS
    'Whether the month in which the events of a partition expire has passed and none of them has to be kept';
