-- What must hold before anything is created, and the roles that the grants in access.sql speak of.

DO $setup$
BEGIN
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'audit_log needs a database in UTF8, this one is in %', pg_catalog.getdatabaseencoding()
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Create the database with ENCODING ''UTF8''.';
    END IF;

    -- Whoever owns the schema can drop what is in it.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n
                   JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
                   WHERE n.nspname = 'audit' AND (r.rolsuper OR r.rolname = current_user)) THEN
        RAISE EXCEPTION 'schema "audit" belongs to a role that is no superuser'
            USING ERRCODE = 'invalid_schema_definition',
                  HINT = 'ALTER SCHEMA audit OWNER TO a superuser, or drop the schema, then create the extension again.';
    END IF;

    -- A stranger's function beside ours, with the same name, would be taken for ours.
    IF EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'audit'::pg_catalog.regnamespace) THEN
        RAISE EXCEPTION 'schema "audit" holds functions already'
            USING ERRCODE = 'invalid_schema_definition',
                  HINT = 'See what they are (\df audit.*), drop them, then create the extension again.';
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
                NULL; -- another database of this cluster creates the extension at the same moment
            END;
        END IF;
    END LOOP;
END
$setup$;

COMMENT ON SCHEMA audit IS 'Append-only audit log (extension audit_log): what people and applications call and read';

CREATE SCHEMA audit_internal;
COMMENT ON SCHEMA audit_internal IS 'What the functions of schema audit are made of (extension audit_log); only the owner of the extension can use it';
