-- The conditions for the installation, the roles that roles.sql grants rights to, and the schemas.

DO $setup$
DECLARE
    functions text := (SELECT pg_catalog.string_agg(f.name, ', ' ORDER BY f.name)
                       FROM (SELECT p.oid::pg_catalog.regprocedure::text AS name
                             FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
                             WHERE n.nspname = 'audit' ORDER BY 1 LIMIT 10) f);
BEGIN
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'audit_log needs a database with encoding UTF8, but the encoding of this one is %', pg_catalog.getdatabaseencoding()
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Create the database with ENCODING ''UTF8''.';
    END IF;

    -- The owner of a schema can drop the objects in it.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n
                   JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
                   WHERE n.nspname = 'audit' AND (r.rolsuper OR r.rolname = current_user)) THEN
        RAISE EXCEPTION 'the owner of schema "audit" is not a superuser'
            USING ERRCODE = 'invalid_schema_definition',
                  HINT = 'Make a superuser its owner with ALTER SCHEMA audit OWNER TO role_name, or move it aside with ALTER SCHEMA audit RENAME TO new_name. Then create the extension again.';
    END IF;

    -- A call could take another tool's function for a function of the extension that has the same name.
    IF functions IS NOT NULL THEN
        RAISE EXCEPTION 'schema "audit" already contains functions that do not belong to audit_log'
            USING ERRCODE = 'invalid_schema_definition',
                  DETAIL = pg_catalog.format('Functions: %s.', functions),
                  HINT = 'Another tool may use them in triggers, so do not drop them. Move them to another schema with ALTER FUNCTION function_name SET SCHEMA new_schema, or rename the schema with ALTER SCHEMA audit RENAME TO new_name. Triggers keep calling moved functions, but adapt code that names the schema. Then create the extension again.';
    END IF;

    IF pg_catalog.to_regnamespace('audit_internal') IS NOT NULL THEN
        RAISE EXCEPTION 'schema "audit_internal" already exists, but audit_log must create it'
            USING ERRCODE = 'invalid_schema_definition',
                  HINT = 'If another tool uses the schema, move it aside with ALTER SCHEMA audit_internal RENAME TO new_name, and adapt code that names it. If it is empty, drop it with DROP SCHEMA audit_internal. Then create the extension again.';
    END IF;
END
$setup$;

DO $setup$
DECLARE
    r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['audit_writer', 'audit_reader', 'audit_admin', 'audit_sidecar'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r) THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', r);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- Another database of this cluster is creating the extension at the same time.
            END;
        END IF;
    END LOOP;
END
$setup$;

COMMENT ON SCHEMA audit IS 'The audit log: functions, tables and views that people and applications use (extension audit_log)';

CREATE SCHEMA audit_internal;
COMMENT ON SCHEMA audit_internal IS 'The internal parts of schema audit (extension audit_log). Only the owner of the extension can use them.';
