-- The conditions for the installation, the roles that roles.sql grants rights to, and the schemas.

DO $setup$
DECLARE
    -- The objects of another tool in schema audit, without parts such as the sequence of a column. The parts of an extension move with it.
    others text[] := ARRAY(SELECT o.type || ' ' || o.identity
                           FROM pg_catalog.pg_depend d
                           CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) o
                           WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
                             AND d.refobjid = pg_catalog.to_regnamespace('audit') AND d.deptype = 'n'
                             AND (o.type, o.identity) IS DISTINCT FROM ('extension', 'audit_log')
                             AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend part
                                             WHERE part.classid = d.classid AND part.objid = d.objid AND part.deptype IN ('a', 'i', 'e'))
                           ORDER BY 1);
    more integer := pg_catalog.cardinality(others) - 10;
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

    IF pg_catalog.obj_description(pg_catalog.to_regnamespace('audit'), 'pg_namespace') LIKE 'A stub of the extension audit_log.%' THEN
        RAISE EXCEPTION 'this database has the stub of audit_log'
            USING ERRCODE = 'invalid_schema_definition',
                  HINT = 'Remove the stub and its events with DROP SCHEMA audit, audit_internal CASCADE, then create the extension again.';
    END IF;

    -- A call could take another tool's function for a function of the extension that has the same name.
    IF others <> '{}' THEN
        RAISE EXCEPTION 'schema "audit" already contains objects that do not belong to audit_log'
            USING ERRCODE = 'invalid_schema_definition',
                  DETAIL = pg_catalog.format('Objects: %s%s.', pg_catalog.array_to_string(others[1:10], ', '),
                                             CASE WHEN more > 0 THEN pg_catalog.format(', and %s more', more) ELSE '' END),
                  HINT = 'Another tool may use them, for example in triggers, so do not drop them. Move all of them aside with ALTER SCHEMA audit RENAME TO new_name, or single ones with ALTER TABLE, ALTER FUNCTION and so on … SET SCHEMA new_schema. Triggers keep calling moved functions. In the same transaction, adapt code that names the schema, such as the bodies of functions. Then create the extension again.';
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
    FOREACH r IN ARRAY ARRAY['audit_writer', 'audit_reader', 'audit_workspace_reader', 'audit_admin', 'audit_server', 'audit_signer', 'audit_manager', 'audit_sidecar'] LOOP
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
