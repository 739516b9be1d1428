-- Verification of workspace logs in themselves: tiles, heads, and the checkpoints over them.

CREATE FUNCTION audit_internal.tree_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    size bigint := coalesce((SELECT l.size FROM audit.log l WHERE l.workspace = space), 0);
BEGIN
    RETURN QUERY
    SELECT 'tile_damaged', space, NULL::bigint, NULL::bigint,
           format('a tile row is invalid: level %s, %s bytes, first hash %s', t.level, length(t.hashes), t.first)
    FROM audit.tile t
    WHERE t.workspace = space
      AND (t.level BETWEEN 0 AND 7 AND t.first >= 0 AND length(t.hashes) > 0 AND length(t.hashes) % 32 = 0) IS NOT TRUE;

    RETURN QUERY
    SELECT 'tile_damaged', space, t.first << (8 * t.level), NULL::bigint,
           format('level %s of the tiles continues with hash %s instead of %s', t.level, t.first, t.expected)
    FROM (SELECT t.level, t.first, coalesce(lag(t.first + length(t.hashes) / 32) OVER (PARTITION BY t.level ORDER BY t.first), 0) AS expected
          FROM audit.tile t WHERE t.workspace = space) t
    WHERE t.first <> t.expected;

    RETURN QUERY
    SELECT 'tile_damaged', space, t.first, NULL::bigint,
           format('a tile row has %s hashes, but the number or the bounds of its ids do not match', length(t.hashes) / 32)
    FROM audit.tile t
    WHERE t.workspace = space AND t.level = 0
      AND (length(t.hashes) = 32 * cardinality(t.ids)
           AND (SELECT count(i) = cardinality(t.ids) AND min(i) = t.least_id AND max(i) = t.greatest_id FROM unnest(t.ids) i)) IS NOT TRUE;

    RETURN QUERY
    SELECT 'tile_damaged', space, NULL::bigint, NULL::bigint,
           format('level %s of the tiles has %s hashes, but a workspace log of %s leaves has %s', n.level, coalesce(c.hashes, 0), size, size >> (8 * n.level))
    FROM generate_series(0, 7) n (level)
    LEFT JOIN (SELECT t.level, sum(length(t.hashes)) / 32 AS hashes FROM audit.tile t WHERE t.workspace = space GROUP BY t.level) c USING (level)
    WHERE coalesce(c.hashes, 0) <> size >> (8 * n.level);

    RETURN QUERY
    SELECT 'tile_damaged', space, f.tile << (8 * (f.level + 1)), NULL::bigint,
           format('hash %s of level %s of the tiles is not the root of tile %s below it', f.tile, f.level + 1, f.tile)
    FROM (SELECT t.level, t.first / 256 AS tile, audit_internal.subtree_root(string_agg(t.hashes, '' ORDER BY t.first)) AS root
          FROM audit.tile t WHERE t.workspace = space
          GROUP BY t.level, t.first / 256 HAVING sum(length(t.hashes)) = 8192) f
    LEFT JOIN audit.tile u ON u.workspace = space AND u.level = f.level + 1 AND u.first / 256 = f.tile / 256
                          AND f.tile >= u.first AND f.tile < u.first + length(u.hashes) / 32
    WHERE f.root IS DISTINCT FROM substr(u.hashes, (32 * (f.tile - u.first))::integer + 1, 32);
END
$$;
COMMENT ON FUNCTION audit_internal.tree_damage(text) IS 'Returns the damage in the tiles of the log of a workspace, compared with each other';

CREATE FUNCTION audit_internal.known_root(space text, size bigint) RETURNS bytea
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN audit.root_at(space, size);
EXCEPTION WHEN data_corrupted OR SQLSTATE 'ZA003' THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION audit_internal.known_root(text, bigint) IS 'Returns the same as audit.root_at, but NULL if the workspace log has no such size or lacks the necessary tiles';

CREATE FUNCTION audit_internal.head_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    head audit.log := (SELECT l FROM audit.log l WHERE l.workspace = space);
    root bytea := audit_internal.known_root(space, head.size);
BEGIN
    -- A workspace has no log until an event of it is sealed.
    IF head IS NULL AND NOT EXISTS (SELECT FROM audit.tile t WHERE t.workspace = space) AND NOT EXISTS (SELECT FROM audit.head h WHERE h.workspace = space) THEN
        RETURN;
    END IF;
    IF root IS NULL OR head.root IS DISTINCT FROM root OR audit_internal.frontier_root(head.size, head.frontier) IS DISTINCT FROM root THEN
        RETURN NEXT ('head_damaged', space, head.size, NULL, 'the head does not match the tiles')::audit.damage;
    END IF;

    RETURN QUERY
    SELECT 'head_damaged', space, h.size, h.event_id,
           CASE WHEN h.size > coalesce(head.size, 0) THEN format('a head of %s leaves was recorded, but the workspace log has %s', h.size, coalesce(head.size, 0))
                WHEN h.root IS DISTINCT FROM h.actual THEN format('the root of the workspace log at %s leaves is not the one that was recorded on %s', h.size, h.recorded_at)
                WHEN e.id IS NULL THEN 'the event that recorded this head is missing'
                ELSE 'the event that recorded this head does not contain its digest' END
    FROM (SELECT h.*, audit_internal.known_root(space, h.size) AS actual FROM audit.head h WHERE h.workspace = space) h
    LEFT JOIN audit.event e ON e.id = h.event_id AND e.workspace = 'audit' AND e.action = 'heads_recorded'
    WHERE h.actual IS NULL OR h.root IS DISTINCT FROM h.actual
       OR NOT coalesce(e.details->'heads' ? audit_internal.head_digest(space, head.log_id, h.size, h.root),
                       audit_internal.is_removed('audit', h.event_id));
END
$$;
COMMENT ON FUNCTION audit_internal.head_damage(text) IS 'Returns the heads of the log of a workspace, present and recorded, that do not match its tiles or the events that record them';

CREATE FUNCTION audit_internal.checkpoint_damage() RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reached bigint := coalesce((SELECT l.size FROM audit.log l WHERE l.workspace = 'audit'), 0);
BEGIN
    RETURN QUERY
    SELECT 'checkpoint_contradicted', 'audit', c.size, NULL::bigint,
           CASE WHEN c.size > reached THEN format('a checkpoint of %s leaves was signed, but the system log has %s', c.size, reached)
                ELSE format('the root of the system log at %s leaves is not the one in the signed checkpoint', c.size) END
    FROM audit.checkpoint c
    WHERE c.root IS DISTINCT FROM audit_internal.known_root('audit', c.size);
END
$$;
COMMENT ON FUNCTION audit_internal.checkpoint_damage() IS 'Returns the checkpoints that the system log contradicts';

CREATE FUNCTION audit_internal.told_head_damage() RETURNS SETOF audit.damage
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- An attacker who rewrites a workspace log cannot hide its recorded heads: each digest in an event must be that of a known
    -- head.
    SELECT 'head_damaged', 'audit', NULL::bigint, e.id, format('%s of the %s heads in this event belong to no workspace log', count(*) FILTER (WHERE k.digest IS NULL), count(*))
    FROM audit.event e
    CROSS JOIN LATERAL jsonb_path_query(e.details, 'lax $.heads[*]') d (digest)
    LEFT JOIN (SELECT h.event_id, audit_internal.head_digest(h.workspace, l.log_id, h.size, h.root) AS digest
               FROM audit.head h JOIN audit.log l USING (workspace)) k ON k.event_id = e.id AND k.digest = d.digest #>> '{}'
    WHERE e.workspace = 'audit' AND e.action = 'heads_recorded'
    GROUP BY e.id HAVING count(*) FILTER (WHERE k.digest IS NULL) > 0
$$;
COMMENT ON FUNCTION audit_internal.told_head_damage() IS 'Returns the events that record heads of no workspace log';
