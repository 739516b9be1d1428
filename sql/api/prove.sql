-- Heads of workspace logs, and proofs that are computed from their tiles. All functions work on a hot standby and in a READ ONLY transaction.

CREATE FUNCTION audit.log_head(workspace text) RETURNS TABLE (log_id bytea, size bigint, root bytea, sealed_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT l.log_id, l.size, l.root, l.sealed_at FROM audit.log l WHERE l.workspace = log_head.workspace $$;
COMMENT ON FUNCTION audit.log_head(text) IS
    'Returns the present head of the log of a workspace, or no row if none of its events is sealed';

CREATE FUNCTION audit.heads(workspace text) RETURNS TABLE (size bigint, root bytea, event_id bigint, recorded_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT h.size, h.root, h.event_id, h.recorded_at FROM audit.head h WHERE h.workspace = heads.workspace ORDER BY h.size $$;
COMMENT ON FUNCTION audit.heads(text) IS 'Returns the heads of the log of a workspace that were recorded in the system log, by size';

CREATE FUNCTION audit.root_at(workspace text, size bigint) RETURNS bytea
    LANGUAGE c STABLE STRICT SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'audit_root_at';
COMMENT ON FUNCTION audit.root_at(text, bigint) IS
    'Returns the root that the log of a workspace had at a given size, computed from its tiles (SQLSTATE ZA003, XX001)';

CREATE FUNCTION audit.inclusion_proof(workspace text, leaf bigint, size bigint) RETURNS bytea[]
    LANGUAGE c STABLE STRICT SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'audit_inclusion_proof';
COMMENT ON FUNCTION audit.inclusion_proof(text, bigint, bigint) IS
    'Returns the audit path of RFC 6962, section 2.1.1. It proves that a leaf, counted from 0, is in the tree of the given size (SQLSTATE ZA003, XX001).';

CREATE FUNCTION audit.consistency_proof(workspace text, old_size bigint, new_size bigint) RETURNS bytea[]
    LANGUAGE c STABLE STRICT SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'audit_consistency_proof';
COMMENT ON FUNCTION audit.consistency_proof(text, bigint, bigint) IS
    'Returns the consistency proof of RFC 6962, section 2.1.2. It proves that the tree of the old size is the beginning of the tree of the new size (SQLSTATE ZA003, XX001).';

CREATE FUNCTION audit.subset_proof(workspace text, size bigint, firsts bigint[], beyonds bigint[]) RETURNS bytea[]
    LANGUAGE c STABLE STRICT SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'audit_subset_proof';
COMMENT ON FUNCTION audit.subset_proof(text, bigint, bigint[], bigint[]) IS
    'Returns the hashes that lead from the leaves of some ranges to the root of the tree of the given size. Each range begins with a first leaf and ends before a beyond leaf (FORMAT.md of audit_proof; SQLSTATE ZA003, XX001).';

CREATE FUNCTION audit.leaves(workspace text, first bigint DEFAULT 0, beyond bigint DEFAULT NULL)
    RETURNS TABLE (leaf bigint, id bigint, hash bytea)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1000000
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.first + i.place - 1, i.id, substr(t.hashes, (32 * (i.place - 1))::integer + 1, 32)
    FROM (SELECT t.first, t.ids, t.hashes || '' AS hashes FROM audit.tile t
          WHERE t.workspace = leaves.workspace AND t.level = 0
            AND t.first >= leaves.first / 256 * 256 AND (leaves.beyond IS NULL OR t.first < leaves.beyond) OFFSET 0) t,
         unnest(t.ids) WITH ORDINALITY i (id, place)
    WHERE t.first + i.place > leaves.first AND (leaves.beyond IS NULL OR t.first + i.place <= leaves.beyond)
$$;
COMMENT ON FUNCTION audit.leaves(text, bigint, bigint) IS
    'Returns the leaves of the log of a workspace, from first to before beyond, with the ids of their events. The order is undefined.';

CREATE FUNCTION audit.leaf_of(workspace text, id bigint) RETURNS bigint
    LANGUAGE sql STABLE STRICT SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_bitmapscan = off
AS $$
    SELECT t.first + array_position(t.ids, leaf_of.id) - 1 FROM audit.tile t
    WHERE t.workspace = leaf_of.workspace AND t.level = 0 AND t.greatest_id >= leaf_of.id AND t.least_id <= leaf_of.id
          AND leaf_of.id = ANY (t.ids)
    ORDER BY t.greatest_id LIMIT 1
$$;
COMMENT ON FUNCTION audit.leaf_of(text, bigint) IS
    'Returns the leaf of an event in the log of a workspace, or NULL if it has none. An event that was removed keeps its leaf.';

CREATE FUNCTION audit.tile_hashes(workspace text, level integer, index bigint) RETURNS bytea
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(t.hashes, '' ORDER BY t.first) FROM audit.tile t
    WHERE t.workspace = tile_hashes.workspace AND t.level = tile_hashes.level
      AND t.first >= tile_hashes.index * 256 AND t.first < (tile_hashes.index + 1) * 256
$$;
COMMENT ON FUNCTION audit.tile_hashes(text, integer, bigint) IS
    'Returns the present hashes of a tile, 32 bytes each, or NULL if it has none';
