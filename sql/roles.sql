-- The grants. PUBLIC gets none.

REVOKE ALL ON SCHEMA audit, audit_internal FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit, audit_internal FROM PUBLIC;

-- ALTER DEFAULT PRIVILEGES may have granted more rights to other roles.
DO $access$
DECLARE
    privilege record;
BEGIN
    PERFORM audit_internal.revoke_all(c.oid) FROM pg_catalog.pg_class c
    WHERE c.relnamespace IN ('audit'::pg_catalog.regnamespace, 'audit_internal'::pg_catalog.regnamespace) AND c.relkind IN ('r', 'p', 'v', 'S');
    FOR privilege IN
        SELECT DISTINCT p.oid::pg_catalog.regprocedure AS function, pg_catalog.pg_get_userbyid(a.grantee) AS grantee
        FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
        WHERE p.pronamespace IN ('audit'::pg_catalog.regnamespace, 'audit_internal'::pg_catalog.regnamespace) AND a.grantee NOT IN (0, p.proowner)
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %I', privilege.function, privilege.grantee);
    END LOOP;
    FOR privilege IN
        SELECT DISTINCT n.nspname AS schema, pg_catalog.pg_get_userbyid(a.grantee) AS grantee
        FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
        WHERE n.nspname IN ('audit', 'audit_internal') AND a.grantee NOT IN (0, n.nspowner)
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA %I FROM %I', privilege.schema, privilege.grantee);
    END LOOP;
END
$access$;

GRANT USAGE ON SCHEMA audit
    TO audit_writer, audit_reader, audit_workspace_reader, audit_admin, audit_server, audit_signer, audit_manager, audit_sidecar;

-- audit_writer is the application. It appends, and can do nothing else.
GRANT EXECUTE ON FUNCTION
    audit.append(text, text, text, text, text[], jsonb, text, text, text, text, text, text),
    audit.append_autonomous(text, text, text, text, text[], jsonb, text, text, text, text, text, text),
    audit.details(text),
    audit.append_many(jsonb),
    audit.context(text, text, text, text, text, text)
    TO audit_writer;

-- audit_reader queries and exports all workspaces. Its functions that are behind a gate follow below.
GRANT SELECT ON audit.event, audit.action, audit.category, audit.tag, audit.workspace, audit.legal_hold, audit.retention_preset, audit.maintenance,
    audit.workspace_grant
    TO audit_reader;
GRANT EXECUTE ON FUNCTION
    audit.preset(text),
    audit.status(),
    audit.retention(text),
    audit.preview_retention(text, interval, integer),
    audit.tags_of(text),
    audit.vocabulary(),
    audit.captured()
    TO audit_reader;

-- audit_workspace_reader queries and exports the workspaces that are granted to its members. Each function that reads what belongs to
-- a workspace is behind a gate (gate.sql). No table is here that has rows of a workspace: EXPLAIN and statistics would tell of others.
GRANT SELECT ON audit.action, audit.category, audit.tag, audit.retention_preset TO audit_workspace_reader;
GRANT EXECUTE ON FUNCTION
    audit.preset(text),
    audit.tags_of(text),
    audit.vocabulary(),
    audit.leaf_hash_of,
    audit.leaf_hash(audit.event)
    TO audit_workspace_reader;
DO $access$
DECLARE
    gate regprocedure;
BEGIN
    FOR gate IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'audit'::pg_catalog.regnamespace AND p.prosrc IN ('audit_gate', 'audit_gate_of_workspace')
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO audit_workspace_reader, audit_reader', gate);
    END LOOP;
END
$access$;

-- audit_admin also manages the catalog, imports, retention, legal holds and maintenance.
GRANT audit_reader, audit_writer TO audit_admin;
GRANT EXECUTE ON FUNCTION
    audit.register_action(text, text, text, jsonb, text[]),
    audit.register_vocabulary(text),
    audit.import(jsonb),
    audit.capture(regclass, text, text, text, text[], text),
    audit.end_capture(regclass),
    audit.set_retention(text, interval),
    audit.place_legal_hold(text, text, text, text),
    audit.release_legal_hold(text, text, text, text),
    audit.grant_workspace(text, text),
    audit.revoke_workspace(text, text),
    audit.maintain(integer, integer),
    audit.confirm_clock(text)
    TO audit_admin;

-- audit_admin and audit_sidecar archive partitions.
GRANT SELECT ON audit.archive TO audit_admin, audit_sidecar;
GRANT EXECUTE ON FUNCTION
    audit.partition_checksum(text),
    audit.partition_events(text, refcursor),
    audit.is_archived(text),
    audit.archivable(),
    audit.record_archive(text, text, integer, bigint, bigint, bytea),
    audit.record_archive_failure(text, text)
    TO audit_admin, audit_sidecar;

-- audit_reader reads the workspace logs, their proofs and the checkpoints.
GRANT SELECT ON audit.log, audit.tile, audit.head, audit.removal, audit.redaction, audit.checkpoint TO audit_reader;
GRANT EXECUTE ON FUNCTION
    audit.leaf_hash_of,
    audit.leaf_hash(audit.event)
    TO audit_reader;

-- audit_signer signs checkpoints.
GRANT audit_reader, audit_writer TO audit_signer;
GRANT EXECUTE ON FUNCTION
    audit.seal(integer),
    audit.record_heads()
    TO audit_admin, audit_signer;
GRANT EXECUTE ON FUNCTION audit.record_checkpoint(bigint, bytea, text) TO audit_signer;

-- audit_manager does what a sidecar does for its admins, and what changes or removes events, or keeps them.
GRANT EXECUTE ON FUNCTION
    audit.redact(bigint, text, text)
    TO audit_admin, audit_manager;
GRANT EXECUTE ON FUNCTION
    audit.set_retention(text, interval),
    audit.place_legal_hold(text, text, text, text),
    audit.release_legal_hold(text, text, text, text),
    audit.maintain(integer, integer)
    TO audit_manager;

-- audit_server reads, appends, and keeps tokens and sessions.
GRANT audit_reader, audit_writer TO audit_server;
GRANT SELECT ON audit.api_token, audit.session TO audit_server;
GRANT EXECUTE ON FUNCTION
    audit.create_api_token(text, bytea, text, text, text, timestamptz, text, text, text),
    audit.revoke_api_token(text),
    audit.note_token_use(text),
    audit.start_session(bytea, text, inet, text),
    audit.use_session(bytea),
    audit.end_session(bytea),
    audit.end_sessions(text),
    audit.create_login_link(bytea, text, text, text, text, text, text),
    audit.use_login_link(bytea, text, bytea)
    TO audit_server;

-- audit_sidecar is all of the sidecar.
GRANT audit_server, audit_signer, audit_manager TO audit_sidecar;
