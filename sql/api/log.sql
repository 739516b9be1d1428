-- The workspace logs. Each is an RFC 6962 tree over the leaf hashes of the events of one workspace, in tiles of 256 hashes (C2SP
-- tlog-tiles). audit.seal adds leaves. Nothing removes a leaf, even if retention removes its event.

CREATE TABLE audit.log (
    workspace text COLLATE "C" PRIMARY KEY,
    log_id bytea NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    frontier bytea NOT NULL,
    sealed_at timestamptz NOT NULL
);
COMMENT ON TABLE audit.log IS 'The workspace logs: the head of each, and the hashes that are needed to add leaves';
COMMENT ON COLUMN audit.log.workspace IS 'Workspace of the log. The log of workspace audit is the system log, which holds the heads of the others.';
COMMENT ON COLUMN audit.log.log_id IS '16 random bytes, which prevent a head from being guessed from its digest';
COMMENT ON COLUMN audit.log.size IS 'Number of leaves';
COMMENT ON COLUMN audit.log.root IS 'Root of the tree, 32 bytes';
COMMENT ON COLUMN audit.log.frontier IS 'Hashes of the largest perfect subtrees, from the left, 32 bytes each';
COMMENT ON COLUMN audit.log.sealed_at IS 'Time at which leaves were last added';

CREATE TABLE audit.tile (
    workspace text COLLATE "C" NOT NULL,
    level smallint NOT NULL,
    first bigint NOT NULL,
    hashes bytea NOT NULL,
    ids bigint[],
    least_id bigint,
    greatest_id bigint,
    PRIMARY KEY (workspace, level, first)
);
CREATE INDEX tile_id ON audit.tile (workspace, greatest_id) INCLUDE (least_id) WHERE level = 0;
COMMENT ON INDEX audit.tile_id IS 'Finds the leaf of an event';
ALTER TABLE audit.tile ALTER COLUMN hashes SET STORAGE EXTERNAL, ALTER COLUMN ids SET STORAGE EXTERNAL;
COMMENT ON TABLE audit.tile IS 'The hashes of the trees, 256 in each tile. A tile that is not full can consist of several rows.';
COMMENT ON COLUMN audit.tile.workspace IS 'Workspace of the log';
COMMENT ON COLUMN audit.tile.level IS 'Level of the tile. Its hashes are the roots of perfect subtrees of 256 ^ level leaves.';
COMMENT ON COLUMN audit.tile.first IS 'Index of the first hash among those of the level';
COMMENT ON COLUMN audit.tile.hashes IS 'The hashes, 32 bytes each';
COMMENT ON COLUMN audit.tile.ids IS 'Ids of the events of the leaves, on level 0 only';
COMMENT ON COLUMN audit.tile.least_id IS 'Least of the ids';
COMMENT ON COLUMN audit.tile.greatest_id IS 'Greatest of the ids';

CREATE TABLE audit.head (
    workspace text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    event_id bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (workspace, size)
);
CREATE INDEX head_event ON audit.head (event_id, workspace);
COMMENT ON INDEX audit.head_event IS 'Finds the heads that were recorded after an event';
COMMENT ON TABLE audit.head IS 'The heads of workspace logs that were recorded in the system log';
COMMENT ON COLUMN audit.head.workspace IS 'Workspace of the log';
COMMENT ON COLUMN audit.head.size IS 'Number of leaves of the head';
COMMENT ON COLUMN audit.head.root IS 'Root of the head';
COMMENT ON COLUMN audit.head.event_id IS 'Event heads_recorded whose details contain the digest of this head';
COMMENT ON COLUMN audit.head.recorded_at IS 'Time at which the head was recorded';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.refuse_change();
ALTER TABLE audit.log ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TRIGGER refuse_change ON audit.log IS 'Refuses all changes other than those of sealing';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.tile
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.refuse_change();
ALTER TABLE audit.tile ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TRIGGER refuse_change ON audit.tile IS 'Refuses all changes other than those of sealing';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.refuse_change();
ALTER TABLE audit.head ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TRIGGER refuse_change ON audit.head IS 'Refuses to change a recorded head';

SELECT pg_catalog.pg_extension_config_dump('audit.log', '');
SELECT pg_catalog.pg_extension_config_dump('audit.tile', '');
SELECT pg_catalog.pg_extension_config_dump('audit.head', '');

-- leaf_hash has no search_path because a setting would prevent its inlining. It names no object outside pg_catalog without its
-- schema. A C function of the whole row would need that row to be formed for each event. That takes a tenth of the time of its hash.
DO $do$
BEGIN
    EXECUTE pg_catalog.format(
        $q$CREATE FUNCTION audit.leaf_hash_of(%s) RETURNS bytea LANGUAGE c IMMUTABLE PARALLEL SAFE COST 500
           AS 'MODULE_PATHNAME', 'audit_leaf_hash'$q$,
        (SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', c.name, c.type), ', ' ORDER BY c.number) FROM audit_internal.columns() c));
    EXECUTE pg_catalog.format(
        $q$CREATE FUNCTION audit.leaf_hash(e audit.event) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
           AS 'SELECT audit.leaf_hash_of(%s)'$q$,
        (SELECT pg_catalog.string_agg(pg_catalog.format('e.%I', c.name), ', ' ORDER BY c.number) FROM audit_internal.columns() c));
END
$do$;
COMMENT ON FUNCTION audit.leaf_hash_of IS
    'Returns the leaf hash of an event in format v1, computed from the columns of audit.event. Returns NULL for a row that audit.append cannot have written.';
COMMENT ON FUNCTION audit.leaf_hash IS 'Returns the leaf hash of a row of audit.event';
