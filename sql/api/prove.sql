-- What the tiles of a log prove. All of it works on a hot standby and in a READ ONLY transaction.

CREATE FUNCTION audit.root_at(workspace text, size bigint) RETURNS bytea
    LANGUAGE c STABLE STRICT
    AS 'MODULE_PATHNAME', 'audit_root_at';
COMMENT ON FUNCTION audit.root_at(text, bigint) IS
    'The root that the log of a workspace had with so many leaves, from its tiles (SQLSTATE ZA003, XX001)';

CREATE FUNCTION audit.inclusion_proof(workspace text, leaf bigint, size bigint) RETURNS bytea[]
    LANGUAGE c STABLE STRICT
    AS 'MODULE_PATHNAME', 'audit_inclusion_proof';
COMMENT ON FUNCTION audit.inclusion_proof(text, bigint, bigint) IS
    'The audit path of RFC 6962, section 2.1.1: that the leaf, counted from 0, is in the tree of so many leaves (SQLSTATE ZA003, XX001)';

CREATE FUNCTION audit.consistency_proof(workspace text, old_size bigint, new_size bigint) RETURNS bytea[]
    LANGUAGE c STABLE STRICT
    AS 'MODULE_PATHNAME', 'audit_consistency_proof';
COMMENT ON FUNCTION audit.consistency_proof(text, bigint, bigint) IS
    'The consistency proof of RFC 6962, section 2.1.2: that the tree of the new size begins with that of the old one (SQLSTATE ZA003, XX001)';

CREATE FUNCTION audit.subset_proof(workspace text, size bigint, firsts bigint[], beyonds bigint[]) RETURNS bytea[]
    LANGUAGE c STABLE STRICT
    AS 'MODULE_PATHNAME', 'audit_subset_proof';
COMMENT ON FUNCTION audit.subset_proof(text, bigint, bigint[], bigint[]) IS
    'What is needed to get from the leaves of the ranges, each from a first to before a beyond, to the root of the tree of so many leaves (FORMAT.md of audit_proof; SQLSTATE ZA003, XX001)';

CREATE FUNCTION audit.leaves(workspace text, first bigint DEFAULT 0, beyond bigint DEFAULT NULL)
    RETURNS TABLE (leaf bigint, id bigint, hash bytea)
    LANGUAGE sql STABLE ROWS 1000000
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
    'The leaves of the log of a workspace, from first to before beyond, with the ids of their events; in no order';

CREATE FUNCTION audit.tile_hashes(workspace text, level integer, index bigint) RETURNS bytea
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(t.hashes, '' ORDER BY t.first) FROM audit.tile t
    WHERE t.workspace = tile_hashes.workspace AND t.level = tile_hashes.level
      AND t.first >= tile_hashes.index * 256 AND t.first < (tile_hashes.index + 1) * 256
$$;
COMMENT ON FUNCTION audit.tile_hashes(text, integer, bigint) IS
    'The hashes of a tile, as many as it has now, 32 bytes each; NULL where it has none';
