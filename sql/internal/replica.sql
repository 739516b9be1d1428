-- The receiving side of logical replication. While a subscription brings the tables of the audit log, another cluster seals and
-- maintains it. Here nothing may, or both would write the same leaves. After DROP SUBSCRIPTION,
-- audit_internal.begin_incarnation takes over.

CREATE FUNCTION audit_internal.is_receiving() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A disabled subscription counts as well, because it can continue.
    SELECT EXISTS (
        SELECT FROM pg_subscription_rel s JOIN pg_class c ON c.oid = s.srrelid
        WHERE c.relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace))
$$;
COMMENT ON FUNCTION audit_internal.is_receiving() IS 'Returns whether a subscription of this database brings tables of the audit log';

CREATE FUNCTION audit_internal.describe_receiving(OUT ok boolean, OUT value text, OUT hint text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH tables AS (
        SELECT c.oid, s.srsubstate AS state
        FROM pg_class c LEFT JOIN pg_subscription_rel s ON s.srrelid = c.oid
        WHERE c.relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND c.relkind = 'r'
    ), counts AS (
        SELECT count(state) AS received, count(*) FILTER (WHERE state <> 'r') AS copying,
               string_agg(oid::regclass::text, ', ' ORDER BY oid::regclass::text) FILTER (WHERE state IS NULL) AS missing
        FROM tables
    )
    SELECT received = 0 OR copying = 0 AND missing IS NULL,
           CASE WHEN received = 0 THEN 'no'
                WHEN copying > 0 THEN format('receives the audit log; %s of %s tables are not copied yet', copying, received)
                WHEN missing IS NOT NULL THEN 'receives the audit log, but not ' || left(missing, 500)
                ELSE 'receives the audit log' END,
           'Wait until all tables are copied. If a table is not received, run ALTER SUBSCRIPTION … REFRESH PUBLICATION.'
    FROM counts
$$;
COMMENT ON FUNCTION audit_internal.describe_receiving() IS
    'Returns the health check of logical replication. It fails while tables are copied, and if a table is not received.';

CREATE FUNCTION audit_internal.greatest_id() RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(greatest((SELECT max(e.id) FROM audit.event e), (SELECT max(t.greatest_id) FROM audit.tile t WHERE t.level = 0)), 0)
$$;
COMMENT ON FUNCTION audit_internal.greatest_id() IS 'Returns the greatest id that an event has or had, or 0';

CREATE FUNCTION audit_internal.skip_ids(beyond bigint) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT setval('audit_internal.event_id_seq', skip_ids.beyond) FROM audit_internal.event_id_seq s WHERE s.last_value < skip_ids.beyond
$$;
COMMENT ON FUNCTION audit_internal.skip_ids(bigint) IS 'Makes sure that the next event gets an id beyond this one. Logical replication does not bring the sequence.';

CREATE FUNCTION audit_internal.keep_ids_ahead() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- More ids than the other cluster can use between two calls, so that ids are unique from the first append after the switch.
    margin constant bigint := 1000000;
    last_id bigint := (SELECT max(e.id) FROM audit.event e);
BEGIN
    IF last_id + margin / 2 > (SELECT s.last_value FROM audit_internal.event_id_seq s) THEN
        PERFORM audit_internal.skip_ids(last_id + margin);
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.keep_ids_ahead() IS 'Keeps the sequence of ids well ahead of the received events';

-- CREATE EXTENSION fills some tables, and both clusters keep the state of maintenance. The copy of the other cluster counts.
CREATE FUNCTION audit_internal.replace_own() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('DELETE FROM %I.%I t WHERE t.%3$I = ($1).%3$I', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]) USING NEW;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION audit_internal.replace_own() IS
    'Trigger: removes the row that a received row replaces. The argument names the column of the primary key.';

DO $do$
DECLARE
    seeded record;
BEGIN
    FOR seeded IN VALUES ('audit.category', 'category'), ('audit.tag', 'tag'), ('audit.action', 'action'), ('audit.retention_preset', 'preset'), ('audit.maintenance', 'one') LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER replace_own BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION audit_internal.replace_own(%L)',
                                  seeded.column1, seeded.column2);
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE REPLICA TRIGGER replace_own', seeded.column1);
        EXECUTE pg_catalog.format('COMMENT ON TRIGGER replace_own ON %s IS %L', seeded.column1,
                                  'Lets a row that logical replication brings replace the own row');
    END LOOP;
END
$do$;
