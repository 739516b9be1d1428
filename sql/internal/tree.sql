-- Roots, heads and ranges of leaves in workspace logs.

CREATE FUNCTION audit_internal.subtree_root(hashes bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'audit_subtree_root';
COMMENT ON FUNCTION audit_internal.subtree_root(bytea) IS
    'Returns the root over hashes of 32 bytes each. Returns NULL if their number is not a power of two.';

CREATE FUNCTION audit_internal.frontier_root(size bigint, frontier bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_frontier_root';
COMMENT ON FUNCTION audit_internal.frontier_root(bigint, bytea) IS
    'Returns the root of a tree from its size and the roots of its largest perfect subtrees, from the left. Returns NULL if their number does not fit the size.';

CREATE FUNCTION audit_internal.head_digest(workspace text, log_id bytea, size bigint, root bytea) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_head_digest';
COMMENT ON FUNCTION audit_internal.head_digest(text, bytea, bigint, bytea) IS
    'Returns the digest of a head as the system log records it: the SHA-256 of its text (FORMAT.md of audit_proof), in base64. Returns NULL for values that no head can have.';

CREATE FUNCTION audit_internal.leaf_ranges(space text, ids bigint[]) RETURNS TABLE (first bigint, beyond bigint)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(l.leaf), max(l.leaf) + 1
    FROM (SELECT l.leaf, l.leaf - row_number() OVER (ORDER BY l.leaf) AS island
          FROM (SELECT t.first + i.place - 1 AS leaf, i.id
                FROM audit.tile t, unnest(t.ids) WITH ORDINALITY i (id, place)
                WHERE t.workspace = space AND t.level = 0
                  AND t.least_id <= (SELECT max(u) FROM unnest(leaf_ranges.ids) u)
                  AND t.greatest_id >= (SELECT min(u) FROM unnest(leaf_ranges.ids) u)) l
          JOIN unnest(leaf_ranges.ids) u (id) ON u.id = l.id) l
    GROUP BY l.island
    ORDER BY 1
$$;
COMMENT ON FUNCTION audit_internal.leaf_ranges(text, bigint[]) IS 'Returns the leaves of events of a workspace as ranges, each from first to before beyond';
