-- Who may do what. Nothing is granted to PUBLIC.

REVOKE ALL ON SCHEMA audit FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC;

-- ALTER DEFAULT PRIVILEGES may have granted more, to anyone.
DO $access$
DECLARE
    privilege record;
BEGIN
    PERFORM audit.revoke_all(c.oid) FROM pg_catalog.pg_class c
    WHERE c.relnamespace = 'audit'::pg_catalog.regnamespace AND c.relkind IN ('r', 'p', 'v', 'S');
    FOR privilege IN
        SELECT DISTINCT p.oid::pg_catalog.regprocedure AS function, pg_catalog.pg_get_userbyid(a.grantee) AS grantee
        FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
        WHERE p.pronamespace = 'audit'::pg_catalog.regnamespace AND a.grantee NOT IN (0, p.proowner)
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %I', privilege.function, privilege.grantee);
    END LOOP;
    FOR privilege IN
        SELECT DISTINCT pg_catalog.pg_get_userbyid(a.grantee) AS grantee
        FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
        WHERE n.nspname = 'audit' AND a.grantee NOT IN (0, n.nspowner)
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA audit FROM %I', privilege.grantee);
    END LOOP;
END
$access$;

GRANT USAGE ON SCHEMA audit TO audit_writer, audit_reader, audit_admin, audit_sidecar;

-- audit_writer: the application. It appends, and can do nothing else.
GRANT EXECUTE ON FUNCTION
    audit.append(text, text, text, text, text[], jsonb, text, inet, text, text, text, text),
    audit.append_batch(jsonb),
    audit.append_many(jsonb)
    TO audit_writer;

-- audit_reader: queries and exports of all workspaces.
GRANT SELECT ON audit.event, audit.action, audit.category, audit.workspace, audit.legal_hold, audit.retention_preset, audit.maintenance
    TO audit_reader;
GRANT EXECUTE ON FUNCTION
    audit.target_keys(text, text[]),
    audit.has_target(bigint[], text, text[], text, text),
    audit.default_retention(),
    audit.retention_in_force(text),
    audit.expires_on(timestamptz, interval),
    audit.first_kept_day(interval, date),
    audit.partition_begin(timestamptz, interval),
    audit.length_in_days(interval),
    audit.today(),
    audit.midnight(date),
    audit.is_kept(text, timestamptz, text, text[]),
    audit.held_condition(text),
    audit.preset(text),
    audit.status(),
    audit.event_filter(text, text, text, text, text, text, timestamptz, timestamptz, jsonb),
    audit.event_columns(),
    audit.parse_cursor(text),
    audit.events(text, text, text, text, text, text, timestamptz, timestamptz, jsonb, text, integer),
    audit.event(bigint),
    audit.activity(text, interval, timestamptz, timestamptz, text, text, text, text, text, text, jsonb),
    audit.export(text, text, text, text, text, text, timestamptz, timestamptz, jsonb, text[], text[], boolean, refcursor)
    TO audit_reader;

-- audit_admin: also the catalog, imports, retention, legal holds and maintenance.
GRANT audit_reader, audit_writer TO audit_admin;
GRANT EXECUTE ON FUNCTION
    audit.register_action(text, text, text, jsonb),
    audit.import(jsonb),
    audit.import_batch(jsonb),
    audit.set_retention(text, interval),
    audit.retention(text),
    audit.place_legal_hold(text, text, text, text),
    audit.release_legal_hold(text, text, text, text),
    audit.maintain(integer, integer)
    TO audit_admin;

-- What archives: both.
GRANT SELECT ON audit.archive TO audit_admin, audit_sidecar;
GRANT EXECUTE ON FUNCTION
    audit.find_partition(text),
    audit.partition_checksum(text),
    audit.partition_events(text, refcursor),
    audit.is_archived(regclass),
    audit.archivable(),
    audit.record_archive(text, text, integer, bigint, bigint, bytea)
    TO audit_admin, audit_sidecar;

-- The logs, their proofs and their checkpoints are for whoever reads; sealing is for whoever maintains.
GRANT SELECT ON audit.log, audit.tile, audit.head, audit.removal, audit.redaction, audit.checkpoint, audit.sealer TO audit_reader;
GRANT EXECUTE ON FUNCTION
    audit.leaf_hash(bigint, text, timestamptz, timestamptz, text, text, text, text, text[], inet, text, text, text, text, text, inet, jsonb, bytea),
    audit.leaf_hash(audit.event),
    audit.head_digest(text, bytea, bigint, bytea),
    audit.subtree_root(bytea),
    audit.frontier_root(bigint, bytea),
    audit.root_at(text, bigint),
    audit.inclusion_proof(text, bigint, bigint),
    audit.consistency_proof(text, bigint, bigint),
    audit.subset_proof(text, bigint, bigint[], bigint[]),
    audit.leaves(text, bigint, bigint),
    audit.tile_hashes(text, integer, bigint),
    audit.tree_damage(text),
    audit.known_root(text, bigint),
    audit.is_removed(text, bigint),
    audit.is_removed_by_now(text, bigint),
    audit.to_interval(text),
    audit.least_retention(text, timestamptz),
    audit.head_damage(text),
    audit.event_damage(text, timestamptz, timestamptz),
    audit.redactions(bigint),
    audit.redaction_damage(text),
    audit.retention_damage(text),
    audit.must_be_kept(text, timestamptz),
    audit.hold_damage(text),
    audit.removal_damage(text),
    audit.checkpoint_damage(),
    audit.told_head_damage(),
    audit.verify(text, timestamptz, timestamptz)
    TO audit_reader;
GRANT EXECUTE ON FUNCTION
    audit.seal(integer),
    audit.record_heads(),
    audit.redact(bigint, text, text)
    TO audit_admin, audit_sidecar;
GRANT EXECUTE ON FUNCTION audit.record_checkpoint(bigint, bytea, text) TO audit_sidecar;

-- audit_sidecar: reads, appends, keeps its tokens, and does for its admins what audit_admin may.
GRANT audit_reader, audit_writer TO audit_sidecar;
GRANT SELECT ON audit.api_token TO audit_sidecar;
GRANT EXECUTE ON FUNCTION
    audit.create_api_token(text, bytea, text, text, text, timestamptz),
    audit.revoke_api_token(text),
    audit.set_retention(text, interval),
    audit.retention(text),
    audit.place_legal_hold(text, text, text, text),
    audit.release_legal_hold(text, text, text, text),
    audit.maintain(integer, integer)
    TO audit_sidecar;
