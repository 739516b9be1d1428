-- The versions of the library and of the SQL. An upgrade changes them one after the other: the files, the library that the server has
-- loaded, and the SQL of each database.

CREATE FUNCTION audit_internal.library_version() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_library_version';
COMMENT ON FUNCTION audit_internal.library_version() IS
    'Returns the version of the library that this process has loaded. If the library is preloaded, the background workers have the same one.';

CREATE FUNCTION audit_internal.version_numbers(version text) RETURNS integer[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_to_array(split_part(version, '-', 1), '.')::integer[]
$$;
COMMENT ON FUNCTION audit_internal.version_numbers(text) IS
    'Returns the numbers of a version, so that versions can be compared. A suffix such as -rc1 is left out.';

CREATE FUNCTION audit_internal.require_library(version text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    loaded text := audit_internal.library_version();
BEGIN
    IF audit_internal.version_numbers(loaded) < audit_internal.version_numbers(version) THEN
        RAISE EXCEPTION 'the upgrade of audit_log to version % needs the library of that version, but this process has loaded version %', version, loaded
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Restart the server, so that it loads the installed library. If audit_log is not preloaded, connect again instead. Then run ALTER EXTENSION audit_log UPDATE again.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.require_library(text) IS
    'Fails with 55000 if the loaded library is older than this version. Each upgrade script begins with it, because new SQL does not work with an old library.';

CREATE FUNCTION audit_internal.describe_versions() RETURNS TABLE (name text, ok boolean, value text, hint text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH version AS (
        SELECT audit_internal.library_version() AS loaded, e.extversion AS sql,
               (SELECT a.default_version FROM pg_available_extensions() a WHERE a.name = 'audit_log') AS installed
        FROM pg_extension e WHERE e.extname = 'audit_log'
    )
    SELECT c.name, c.ok, c.value, c.hint
    FROM version v CROSS JOIN LATERAL (VALUES
        ('loaded library', true, v.loaded, NULL),
        ('installed library', coalesce(v.installed = v.loaded, false), coalesce(v.installed, 'not installed'),
         CASE WHEN v.installed IS NULL THEN 'Install the library on this server again.'
              ELSE 'Restart the server, so that it loads the installed library. If audit_log is not preloaded, connect again.' END),
        ('SQL', v.sql = v.loaded, v.sql,
         CASE WHEN audit_internal.version_numbers(v.sql) > audit_internal.version_numbers(v.loaded)
              THEN format('The server has loaded an older library. Install the library of version %s, and restart the server.', v.sql)
              ELSE 'Run ALTER EXTENSION audit_log UPDATE in this database, as a superuser. If another check of a library fails, correct that first.' END)
    ) c (name, ok, value, hint)
$$;
COMMENT ON FUNCTION audit_internal.describe_versions() IS
    'Returns health checks of the versions: of the library that this process has loaded, of the installed one as its control file names it, and of the SQL in this database.';
