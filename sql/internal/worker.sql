-- News between the background workers and the database.

CREATE FUNCTION audit_internal.announce_installation() RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'audit_announce_installation';
COMMENT ON FUNCTION audit_internal.announce_installation() IS
    'Makes the launcher start a sealer soon after this transaction commits, if the library is preloaded. CREATE EXTENSION calls it.';

SELECT audit_internal.announce_installation();

CREATE FUNCTION audit_internal.sealing_turns() RETURNS TABLE (databases bigint, sealers bigint, longest_wait bigint, waits_since timestamptz)
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'audit_sealing_turns';
COMMENT ON FUNCTION audit_internal.sealing_turns() IS
    'Returns how the databases of the cluster share the sealers: the number of databases, the maximum number of sealers, the longest wait for the present or last sealer in milliseconds, and since when a database has been waiting now. Returns no row if the library is not preloaded.';

CREATE FUNCTION audit_internal.describe_turns(OUT ok boolean, OUT value text, OUT hint text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(t.waits_since BETWEEN now() - interval '5 minutes' AND now() + interval '5 minutes', true),
           CASE WHEN t.sealers IS NULL THEN 'no, because audit_log is not preloaded'
                WHEN t.sealers = 0 THEN 'no, because no sealer runs'
                WHEN t.databases <= t.sealers AND t.waits_since IS NULL THEN 'no'
                ELSE format('%s databases share at most %s sealers; the longest wait was %s s', t.databases, t.sealers, round(t.longest_wait / 1000.0, 1))
                     || coalesce('; one has been waiting since ' || t.waits_since, '') END,
           'Raise audit.max_sealers, and max_worker_processes to at least 2 more. Look for messages of audit_log in the server log.'
    FROM (VALUES (1)) one LEFT JOIN audit_internal.sealing_turns() t ON true
$$;
COMMENT ON FUNCTION audit_internal.describe_turns() IS
    'Returns the health check of the turns of sealers. It fails if a database has been waiting for a sealer for more than 5 minutes.';

CREATE FUNCTION audit_internal.worker_hint(setting text, has_run boolean, has_work boolean) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN NOT EXISTS (SELECT FROM audit_internal.sealing_turns())
                THEN 'Add audit_log to shared_preload_libraries, or schedule SELECT audit.maintain().'
                WHEN current_setting(setting) = '0'
                THEN format('Set %s to more than 0, or schedule SELECT audit.maintain().', setting)
                WHEN NOT has_run AND NOT has_work
                THEN 'Append an event. Sealing begins with the first one.'
                WHEN NOT has_run OR pg_postmaster_start_time() > now() - interval '2 minutes'
                THEN 'Wait: a background worker does this within two minutes. If it does not, look for messages of audit_log in the server log.'
                ELSE 'Look for messages of audit_log in the server log.' END
$$;
COMMENT ON FUNCTION audit_internal.worker_hint(text, boolean, boolean) IS
    'Returns what to do if the background worker with this interval has not done its work. Tells a worker that cannot run from one that has just started or has no work.';

CREATE FUNCTION audit_internal.record_due_heads() RETURNS bigint
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM audit_internal.sealer s
                             WHERE s.heads_recorded_at BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp())
                THEN 0 ELSE audit.record_heads() END
$$;
COMMENT ON FUNCTION audit_internal.record_due_heads() IS
    'Records heads if none were recorded for a minute, and returns their number. The background worker calls it.';
