-- Partitions, one for each month of expiry. They are ordinary tables rather than members of the extension, so pg_dump includes
-- them.

CREATE FUNCTION audit_internal.define(statement text) RETURNS void
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'audit_define';
COMMENT ON FUNCTION audit_internal.define(text) IS
    'Runs one statement that defines a part of a partition, without firing event triggers. They must not make an append fail.';

CREATE FUNCTION audit_internal.revoke_all(relation regclass) RETURNS void
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
        PERFORM audit_internal.define(format('REVOKE ALL ON %s FROM %s', relation, grantee));
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit_internal.revoke_all(regclass) IS
    'Revokes the rights on a table, view or sequence that ALTER DEFAULT PRIVILEGES granted to roles other than the owner';

CREATE FUNCTION audit_internal.partition_name(day date) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_partition_name';
COMMENT ON FUNCTION audit_internal.partition_name(date) IS
    'Returns the name, without schema, of the partition for events that expire in the month of the given day';

CREATE FUNCTION audit_internal.is_partition_name(name text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_is_partition_name';
COMMENT ON FUNCTION audit_internal.is_partition_name(text) IS 'Returns whether a name is that of a partition for the events of a month';

CREATE FUNCTION audit_internal.create_partition(expiry_month date) RETURNS regclass
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    first_day date := date_trunc('month', expiry_month::timestamp);
BEGIN
    RETURN audit_internal.make_partition(audit_internal.partition_name(first_day), first_day, (first_day + interval '1 month')::date,
                                         'Events that expire in ' || to_char(first_day, 'FMMonth YYYY'));
END
$$;
COMMENT ON FUNCTION audit_internal.create_partition(date) IS
    'Creates the partition for events that expire in the month of the given day, if it is missing';

CREATE FUNCTION audit_internal.missing_months(retention interval, months_ahead integer) RETURNS TABLE (month date)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.month
    FROM (SELECT date_trunc('month', audit_internal.today() + retention + make_interval(months => n))::date AS month
          FROM generate_series(0, months_ahead) n) m
    WHERE to_regclass('audit_internal.' || audit_internal.partition_name(m.month)) IS NULL
    ORDER BY 1
$$;
COMMENT ON FUNCTION audit_internal.missing_months(interval, integer) IS
    'Returns the months without a partition in which events will expire that are appended this month and in so many following months';

CREATE FUNCTION audit_internal.create_held_partition() RETURNS regclass
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN audit_internal.make_partition('event_held', 'infinity', NULL, 'Events past their retention that a legal hold keeps');
END
$$;
COMMENT ON FUNCTION audit_internal.create_held_partition() IS
    'Creates the partition for events that a legal hold keeps past their retention, if it is missing';

CREATE FUNCTION audit_internal.make_partition(name text, from_day date, before_day date, comment text) RETURNS regclass
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET default_tablespace = ''
    SET default_table_access_method = 'heap'
AS $$
BEGIN
    IF to_regclass('audit_internal.' || name) IS NOT NULL THEN
        RETURN to_regclass('audit_internal.' || name);
    END IF;
    -- The lock serialises sessions that find the same partition missing. It conflicts with no append and no query.
    LOCK TABLE ONLY audit.event IN SHARE UPDATE EXCLUSIVE MODE;
    IF to_regclass('audit_internal.' || name) IS NOT NULL THEN
        RETURN to_regclass('audit_internal.' || name);
    END IF;

    PERFORM audit_internal.define(format(
        'CREATE TABLE audit_internal.%I (LIKE audit.event INCLUDING DEFAULTS INCLUDING STORAGE)', name));
    PERFORM audit_internal.revoke_all(to_regclass('audit_internal.' || name));
    PERFORM audit_internal.define(format('ALTER TABLE audit_internal.%I ADD PRIMARY KEY (id)', name));
    PERFORM audit_internal.define(format('CREATE INDEX %I ON audit_internal.%I (xid)', name || '_xid', name));
    PERFORM audit_internal.define(format(
        'CREATE INDEX %I ON audit_internal.%I (workspace, occurred_at, id)', name || '_occurred_at', name));
    PERFORM audit_internal.define(format(
        'CREATE INDEX %I ON audit_internal.%I (workspace, action, occurred_at, id)', name || '_action', name));
    PERFORM audit_internal.define(format(
        'CREATE INDEX %I ON audit_internal.%I (workspace, actor, occurred_at, id)', name || '_actor', name));
    -- These indexes are partial, because the index on time serves the common values.
    PERFORM audit_internal.define(format(
        $q$CREATE INDEX %I ON audit_internal.%I (workspace, category, occurred_at, id)
           WHERE category IN ('auth', 'admin', 'feedback', 'audit')$q$, name || '_category', name));
    PERFORM audit_internal.define(format(
        $q$CREATE INDEX %I ON audit_internal.%I (workspace, outcome, occurred_at, id)
           WHERE outcome <> 'success'$q$, name || '_outcome', name));
    PERFORM audit_internal.define(format(
        $q$CREATE INDEX %I ON audit_internal.%I USING gin
           (audit_internal.content_keys(workspace, targets, request_id, session_id, ip) audit_internal.key_ops,
            details jsonb_path_ops)$q$, name || '_content', name));
    PERFORM audit_internal.define(format(
        $q$CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_internal.%I
           FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.refuse_change()$q$, name));
    PERFORM audit_internal.define(format('ALTER TABLE audit_internal.%I ENABLE ALWAYS TRIGGER refuse_change', name));
    PERFORM audit_internal.define(format('COMMENT ON TABLE audit_internal.%I IS %L', name, comment));
    PERFORM audit_internal.define(format(
        'ALTER TABLE audit.event ATTACH PARTITION audit_internal.%I FOR VALUES FROM (%L) TO (%s)',
        name, from_day, coalesce(quote_literal(before_day), 'MAXVALUE')));

    -- The view is neither a member of the extension nor a partition. It makes DROP EXTENSION without CASCADE fail.
    IF to_regclass('audit_internal.event_keeper') IS NULL THEN
        PERFORM audit_internal.define('CREATE VIEW audit_internal.event_keeper AS SELECT id FROM audit.event');
        PERFORM audit_internal.revoke_all('audit_internal.event_keeper');
        PERFORM audit_internal.define(
            $q$COMMENT ON VIEW audit_internal.event_keeper IS 'Keeps DROP EXTENSION audit_log from dropping the events with it'$q$);
    END IF;
    RETURN to_regclass('audit_internal.' || name);
END
$$;
COMMENT ON FUNCTION audit_internal.make_partition(text, date, date, text) IS
    'Creates a partition, with its indexes and triggers, if it is missing. Its events expire from one day on and before another (NULL: no limit).';

CREATE FUNCTION audit_internal.merge_pending() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '100ms'
AS $$
DECLARE
    content regclass;
    pages bigint := 0;
BEGIN
    FOR content IN
        SELECT x.indexrelid
        FROM pg_inherits i
        JOIN pg_index x ON x.indrelid = i.inhrelid
        JOIN pg_class c ON c.oid = x.indexrelid
        JOIN pg_am a ON a.oid = c.relam
        WHERE i.inhparent = 'audit.event'::regclass AND a.amname = 'gin' AND x.indisready
    LOOP
        BEGIN
            pages := pages + gin_clean_pending_list(content);
        -- Maintenance drops the partition, or another session rebuilds the index. A later call merges what remains.
        EXCEPTION WHEN undefined_table OR undefined_object OR lock_not_available OR wrong_object_type THEN
            NULL;
        WHEN internal_error THEN
            -- PostgreSQL raises this error if the index was dropped while this call waited for its lock.
            IF EXISTS (SELECT FROM pg_class c WHERE c.oid = content) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN pages;
END
$$;
COMMENT ON FUNCTION audit_internal.merge_pending() IS
    'Merges the pending lists of the content indexes, so that no append has to do it, and returns the number of pages. The background worker calls it.';

CREATE FUNCTION audit_internal.find_partition(partition text) RETURNS regclass
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found regclass := (SELECT c.oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                       WHERE i.inhparent = 'audit.event'::regclass AND c.relnamespace = 'audit_internal'::regnamespace
                         AND c.relname = find_partition.partition);
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'audit.event has no partition "%"', coalesce(left(partition, 100), 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'Partitions are named by the month in which their events expire, such as event_2026_01.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION audit_internal.find_partition(text) IS 'Returns the partition of audit.event with a name, given without schema (SQLSTATE ZA003)';
