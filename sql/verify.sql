-- Verifying: everything that is hashed is hashed again, from the rows up to the checkpoints, and every damage is named. Works on a
-- hot standby and in a READ ONLY transaction; all of it sees one snapshot.

CREATE TYPE audit.damage AS (
    kind text,
    workspace text,
    leaf bigint,
    event_id bigint,
    problem text
);
COMMENT ON TYPE audit.damage IS 'Something that is not as sealing left it';

CREATE FUNCTION audit.tree_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    head audit.log := (SELECT l FROM audit.log l WHERE l.workspace = space);
BEGIN
    RETURN QUERY
    SELECT 'tile_damaged', space, t.first << (8 * t.level), NULL::bigint,
           format('level %s of the tiles goes on with hash %s where %s was to come', t.level, t.first, t.expected)
    FROM (SELECT t.level, t.first, coalesce(lag(t.first + length(t.hashes) / 32) OVER (PARTITION BY t.level ORDER BY t.first), 0) AS expected
          FROM audit.tile t WHERE t.workspace = space) t
    WHERE t.first <> t.expected;

    RETURN QUERY
    SELECT 'tile_damaged', space, t.first, NULL::bigint, format('a row of the tiles has %s hashes and %s ids', length(t.hashes) / 32.0, cardinality(t.ids))
    FROM audit.tile t
    WHERE t.workspace = space AND t.level = 0 AND length(t.hashes) IS DISTINCT FROM 32 * cardinality(t.ids);

    RETURN QUERY
    SELECT 'tile_damaged', space, NULL::bigint, NULL::bigint,
           format('level %s of the tiles has %s hashes, a log of %s leaves has %s there', n.level, coalesce(c.hashes, 0), coalesce(head.size, 0), coalesce(head.size, 0) >> (8 * n.level))
    FROM generate_series(0, 7) n (level)
    LEFT JOIN (SELECT t.level, sum(length(t.hashes)) / 32 AS hashes FROM audit.tile t WHERE t.workspace = space GROUP BY t.level) c USING (level)
    WHERE coalesce(c.hashes, 0) <> coalesce(head.size, 0) >> (8 * n.level);

    RETURN QUERY
    SELECT 'tile_damaged', space, f.tile << (8 * (f.level + 1)), NULL::bigint,
           format('hash %s of level %s of the tiles is not the root of tile %s below it', f.tile, f.level + 1, f.tile)
    FROM (SELECT t.level, t.first / 256 AS tile, audit.subtree_root(string_agg(t.hashes, '' ORDER BY t.first)) AS root
          FROM audit.tile t WHERE t.workspace = space
          GROUP BY t.level, t.first / 256 HAVING sum(length(t.hashes)) = 8192) f
    LEFT JOIN audit.tile u ON u.workspace = space AND u.level = f.level + 1 AND u.first / 256 = f.tile / 256
                          AND f.tile >= u.first AND f.tile < u.first + length(u.hashes) / 32
    WHERE f.root IS DISTINCT FROM substr(u.hashes, (32 * (f.tile - u.first))::integer + 1, 32);
END
$$;
COMMENT ON FUNCTION audit.tree_damage(text) IS 'What is wrong with the tiles of the log of a workspace in themselves';

CREATE FUNCTION audit.head_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    head audit.log := (SELECT l FROM audit.log l WHERE l.workspace = space);
    root bytea := audit.root_at(space, head.size);
BEGIN
    IF head.root IS DISTINCT FROM root OR audit.frontier_root(head.size, head.frontier) IS DISTINCT FROM root THEN
        RETURN NEXT ('head_damaged', space, head.size, NULL, 'the head is not that of the tiles')::audit.damage;
    END IF;

    RETURN QUERY
    SELECT 'head_damaged', space, h.size, h.event_id,
           CASE WHEN h.size > head.size THEN format('a head of %s leaves was recorded, the log has %s', h.size, coalesce(head.size, 0))
                WHEN h.root <> audit.root_at(space, h.size) THEN format('the log had another root at %s leaves, as recorded on %s', h.size, h.recorded_at)
                WHEN e.id IS NULL THEN 'the event that recorded this head is missing'
                ELSE 'the event that recorded heads tells of another head' END
    FROM audit.head h
    LEFT JOIN audit.event e ON e.id = h.event_id AND e.workspace = 'audit' AND e.action = 'heads_recorded'
    WHERE h.workspace = space
      AND (h.size > coalesce(head.size, 0) OR h.root <> audit.root_at(space, least(h.size, head.size))
           OR NOT coalesce(e.details->'heads' ? audit.head_digest(space, head.log_id, h.size, h.root),
                           audit.is_removed('audit', h.event_id)));
EXCEPTION WHEN data_corrupted THEN
    RETURN NEXT ('head_damaged', space, head.size, NULL, SQLERRM)::audit.damage;
END
$$;
COMMENT ON FUNCTION audit.head_damage(text) IS 'Which heads of the log of a workspace, the present one and those recorded, its tiles do not confirm';

CREATE FUNCTION audit.is_removed(space text, id bigint) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM audit.tile t, unnest(t.ids) WITH ORDINALITY i (id, place), audit.removal r
        WHERE t.workspace = space AND t.level = 0 AND t.least_id <= is_removed.id AND t.greatest_id >= is_removed.id
          AND i.id = is_removed.id
          AND r.workspace = space AND r.first <= t.first + i.place - 1 AND r.beyond > t.first + i.place - 1)
$$;
COMMENT ON FUNCTION audit.is_removed(text, bigint) IS 'Whether retention has removed the event whose leaf the log of the workspace holds';

CREATE FUNCTION audit.event_damage(space text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET work_mem = '64MB'
AS $$
DECLARE
    first bigint := coalesce((SELECT max(h.size) FROM audit.head h WHERE h.workspace = space AND h.recorded_at < since), 0);
    beyond bigint := (SELECT min(h.size) FROM audit.head h WHERE h.workspace = space AND h.recorded_at >= until);
    state audit.sealer := (SELECT s FROM audit.sealer s);
BEGIN
    RETURN QUERY
    SELECT CASE WHEN e.id IS NULL THEN 'event_missing' WHEN e.workspace <> space THEN 'event_moved' ELSE 'event_changed' END,
           space, l.leaf, l.id,
           CASE WHEN e.id IS NULL THEN 'the event of this leaf is gone, and retention has not removed it'
                WHEN e.workspace <> space THEN format('the event of this leaf is now in workspace "%s"', e.workspace)
                ELSE 'the event is not the one that was sealed' END
    FROM audit.leaves(space, first, beyond) l
    LEFT JOIN audit.event e ON e.id = l.id
    WHERE (e.id IS NULL OR e.workspace <> space OR audit.leaf_hash(e) IS DISTINCT FROM l.hash)
      AND NOT (e.id IS NULL AND EXISTS (SELECT FROM audit.removal r WHERE r.workspace = space AND l.leaf >= r.first AND l.leaf < r.beyond));

    RETURN QUERY
    SELECT 'event_doubled', space, max(l.leaf), l.id, format('%s leaves are of this event', count(*))
    FROM audit.leaves(space, first, beyond) l GROUP BY l.id HAVING count(*) > 1;

    RETURN QUERY
    SELECT 'event_doubled', space, NULL::bigint, e.id, format('there are %s rows with this id', count(*))
    FROM audit.event e
    WHERE e.workspace = space AND (since IS NULL OR e.occurred_at >= since) AND (until IS NULL OR e.occurred_at < until)
    GROUP BY e.id HAVING count(*) > 1;

    RETURN QUERY
    SELECT 'event_added', space, NULL::bigint, e.id, 'the event has no leaf, though its transaction was sealed: it did not come by audit.append'
    FROM audit.event e
    WHERE e.workspace = space AND (since IS NULL OR e.occurred_at >= since) AND (until IS NULL OR e.occurred_at < until)
      AND (e.id <= state.ids_after OR pg_visible_in_snapshot(e.xid, state.sealed) OR e.xid >= pg_snapshot_xmax(pg_current_snapshot()))
      AND NOT (e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(state.sealed))))
      AND NOT EXISTS (SELECT FROM audit.leaves(space) l WHERE l.id = e.id);
END
$$;
COMMENT ON FUNCTION audit.event_damage(text, timestamptz, timestamptz) IS
    'Which events of a workspace and a time are not those that its log holds';

CREATE FUNCTION audit.removal_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
BEGIN
    -- A removal says what an event of the log says, or what one said that has been removed itself.
    RETURN QUERY
    SELECT 'removal_forged', space, r.first, r.event_id, format('no event tells of the removal of leaves %s to %s', r.first, r.beyond - 1)
    FROM audit.removal r
    LEFT JOIN audit.event e ON e.id = r.event_id AND e.category = 'audit'
    WHERE r.workspace = space
      AND NOT coalesce(
          e.action = 'partition_dropped' AND e.workspace = 'audit'
              AND EXISTS (SELECT FROM jsonb_array_elements(e.details->'workspaces') w
                          WHERE w.value->>'workspace' = space AND w.value->'leaves' @> jsonb_build_array(jsonb_build_array(r.first, r.beyond)))
          OR e.action = 'events_removed' AND e.workspace = space AND e.details->'leaves' @> jsonb_build_array(jsonb_build_array(r.first, r.beyond)),
          audit.is_removed('audit', r.event_id) OR audit.is_removed(space, r.event_id));

    -- 60 days are the floor of every retention. What was imported may have been old already.
    RETURN QUERY
    SELECT 'removal_forged', space, r.first, r.event_id,
           format('leaves up to %s were sealed after %s, and removed on %s: sooner than any retention allows', r.beyond - 1, h.recorded_at, e.recorded_at)
    FROM audit.removal r
    JOIN audit.event e ON e.id = r.event_id
    JOIN LATERAL (SELECT h.recorded_at FROM audit.head h WHERE h.workspace = space AND h.size < r.beyond ORDER BY h.size DESC LIMIT 1) h ON true
    WHERE r.workspace = space AND h.recorded_at + interval '59 days' > e.recorded_at
      AND NOT EXISTS (SELECT FROM audit.event i WHERE i.workspace = 'audit' AND i.action = 'events_imported');
END
$$;
COMMENT ON FUNCTION audit.removal_damage(text) IS 'Which removals from the log of a workspace no event explains, or retention cannot have made';

CREATE FUNCTION audit.checkpoint_damage() RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT 'checkpoint_contradicted', 'audit', c.size, NULL::bigint,
           CASE WHEN c.size > coalesce(l.size, 0) THEN format('a checkpoint of %s leaves was signed, the system log has %s', c.size, coalesce(l.size, 0))
                ELSE format('the system log had another root at %s leaves than the checkpoint that was signed', c.size) END
    FROM audit.checkpoint c LEFT JOIN audit.log l ON l.workspace = 'audit'
    WHERE c.size > coalesce(l.size, 0) OR c.root <> audit.root_at('audit', least(c.size, l.size));

    -- Each digest in the events is of a head that is known; the rewriting of a log cannot hide what was recorded of it.
    RETURN QUERY
    SELECT 'head_damaged', 'audit', NULL::bigint, e.id, format('%s of the %s heads in this event are of no log', count(*) FILTER (WHERE k.digest IS NULL), count(*))
    FROM audit.event e
    CROSS JOIN LATERAL jsonb_array_elements_text(e.details->'heads') d (digest)
    LEFT JOIN (SELECT h.event_id, audit.head_digest(h.workspace, l.log_id, h.size, h.root) AS digest
               FROM audit.head h JOIN audit.log l USING (workspace)) k ON k.event_id = e.id AND k.digest = d.digest
    WHERE e.workspace = 'audit' AND e.action = 'heads_recorded'
    GROUP BY e.id HAVING count(*) FILTER (WHERE k.digest IS NULL) > 0;
EXCEPTION WHEN data_corrupted THEN
    RETURN NEXT ('checkpoint_contradicted', 'audit', NULL, NULL, SQLERRM)::audit.damage;
END
$$;
COMMENT ON FUNCTION audit.checkpoint_damage() IS 'Which checkpoints the system log contradicts, and which recorded heads no log has';

CREATE FUNCTION audit.verify(workspace text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
    RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
#variable_conflict use_variable
DECLARE
    space text;
BEGIN
    FOR space IN
        SELECT l.workspace FROM audit.log l WHERE verify.workspace IS NULL OR l.workspace = verify.workspace
        UNION SELECT t.workspace FROM audit.tile t WHERE verify.workspace IS NULL OR t.workspace = verify.workspace
        UNION SELECT h.workspace FROM audit.head h WHERE verify.workspace IS NULL OR h.workspace = verify.workspace
        UNION SELECT e.workspace FROM audit.event e WHERE verify.workspace IS NULL OR e.workspace = verify.workspace
        ORDER BY 1
    LOOP
        RETURN QUERY SELECT * FROM audit.tree_damage(space);
        RETURN QUERY SELECT * FROM audit.head_damage(space);
        RETURN QUERY SELECT * FROM audit.event_damage(space, since, until);
        RETURN QUERY SELECT * FROM audit.removal_damage(space);
    END LOOP;
    RETURN QUERY SELECT * FROM audit.checkpoint_damage();
END
$$;
COMMENT ON FUNCTION audit.verify(text, timestamptz, timestamptz) IS
    'Hashes everything again and names what is damaged, a row each, no row where nothing is: of one workspace or all, and of events since and until a time or all. What was sealed is known; what a checkpoint outside the database says, audit-sidecar compares';
