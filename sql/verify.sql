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
    size bigint := coalesce((SELECT l.size FROM audit.log l WHERE l.workspace = space), 0);
BEGIN
    RETURN QUERY
    SELECT 'tile_damaged', space, NULL::bigint, NULL::bigint,
           format('a row of the tiles is of level %s, and of %s bytes from hash %s on', t.level, length(t.hashes), t.first)
    FROM audit.tile t
    WHERE t.workspace = space
      AND (t.level BETWEEN 0 AND 7 AND t.first >= 0 AND length(t.hashes) > 0 AND length(t.hashes) % 32 = 0) IS NOT TRUE;

    RETURN QUERY
    SELECT 'tile_damaged', space, t.first << (8 * t.level), NULL::bigint,
           format('level %s of the tiles goes on with hash %s where %s was to come', t.level, t.first, t.expected)
    FROM (SELECT t.level, t.first, coalesce(lag(t.first + length(t.hashes) / 32) OVER (PARTITION BY t.level ORDER BY t.first), 0) AS expected
          FROM audit.tile t WHERE t.workspace = space) t
    WHERE t.first <> t.expected;

    RETURN QUERY
    SELECT 'tile_damaged', space, t.first, NULL::bigint,
           format('a row of the tiles has %s hashes, and ids that are not as many or not those that it says', length(t.hashes) / 32)
    FROM audit.tile t
    WHERE t.workspace = space AND t.level = 0
      AND (length(t.hashes) = 32 * cardinality(t.ids)
           AND (SELECT count(i) = cardinality(t.ids) AND min(i) = t.least_id AND max(i) = t.greatest_id FROM unnest(t.ids) i)) IS NOT TRUE;

    RETURN QUERY
    SELECT 'tile_damaged', space, NULL::bigint, NULL::bigint,
           format('level %s of the tiles has %s hashes, a log of %s leaves has %s there', n.level, coalesce(c.hashes, 0), size, size >> (8 * n.level))
    FROM generate_series(0, 7) n (level)
    LEFT JOIN (SELECT t.level, sum(length(t.hashes)) / 32 AS hashes FROM audit.tile t WHERE t.workspace = space GROUP BY t.level) c USING (level)
    WHERE coalesce(c.hashes, 0) <> size >> (8 * n.level);

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

CREATE FUNCTION audit.known_root(space text, size bigint) RETURNS bytea
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN audit.root_at(space, size);
EXCEPTION WHEN data_corrupted OR SQLSTATE 'ZA003' THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION audit.known_root(text, bigint) IS 'As audit.root_at; NULL where the log has no such size or the tiles lack what it takes';

CREATE FUNCTION audit.head_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    head audit.log := (SELECT l FROM audit.log l WHERE l.workspace = space);
    root bytea := audit.known_root(space, head.size);
BEGIN
    IF root IS NULL OR head.root IS DISTINCT FROM root OR audit.frontier_root(head.size, head.frontier) IS DISTINCT FROM root THEN
        RETURN NEXT ('head_damaged', space, head.size, NULL, 'the head is not that of the tiles')::audit.damage;
    END IF;

    RETURN QUERY
    SELECT 'head_damaged', space, h.size, h.event_id,
           CASE WHEN h.size > coalesce(head.size, 0) THEN format('a head of %s leaves was recorded, the log has %s', h.size, coalesce(head.size, 0))
                WHEN h.root IS DISTINCT FROM h.actual THEN format('the log has another root at %s leaves than was recorded on %s', h.size, h.recorded_at)
                WHEN e.id IS NULL THEN 'the event that recorded this head is missing'
                ELSE 'the event that recorded heads tells of another head' END
    FROM (SELECT h.*, audit.known_root(space, h.size) AS actual FROM audit.head h WHERE h.workspace = space) h
    LEFT JOIN audit.event e ON e.id = h.event_id AND e.workspace = 'audit' AND e.action = 'heads_recorded'
    WHERE h.actual IS NULL OR h.root IS DISTINCT FROM h.actual
       OR NOT coalesce(e.details->'heads' ? audit.head_digest(space, head.log_id, h.size, h.root),
                       audit.is_removed('audit', h.event_id));
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

-- Volatile: looks by a snapshot of its own, which sees the removal that came with a partition that has been dropped meanwhile.
CREATE FUNCTION audit.is_removed_by_now(space text, leaf bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM audit.removal r WHERE r.workspace = space AND r.first <= leaf AND r.beyond > leaf);
END
$$;
COMMENT ON FUNCTION audit.is_removed_by_now(text, bigint) IS
    'Whether retention has removed the event of a leaf, also if it did after the present statement began (not so in a REPEATABLE READ transaction)';

CREATE FUNCTION audit.event_damage(space text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET work_mem = '64MB'
AS $$
DECLARE
    state audit.sealer := (SELECT s FROM audit.sealer s);
    -- Until the first pass after a restore nobody can say what has been sealed.
    is_own boolean := coalesce(state.system_identifier = (SELECT c.system_identifier FROM pg_control_system() c)
                               AND state.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()), false);
    condition text := 'true';
    tiles text := 'true';
    relevant text := 'true';
    events text;
    leaves text;
    least_id bigint;
    greatest_id bigint;
    first bigint;
    beyond bigint;
BEGIN
    IF space IS NOT NULL THEN
        condition := format('e.workspace = %L', space);
        tiles := format('t.workspace = %L', space);
    END IF;
    -- A period is that of the leaves that were added in it, and of the events that occurred in it: imported ones came later.
    IF since IS NOT NULL OR until IS NOT NULL THEN
        first := coalesce((SELECT max(h.size) FROM audit.head h WHERE h.workspace = space AND h.recorded_at < since), 0);
        beyond := coalesce((SELECT min(h.size) FROM audit.head h WHERE h.workspace = space AND h.recorded_at >= until), 9223372036854775807);
        condition := concat_ws(' AND ', condition, format('e.occurred_at >= %L', since), format('e.occurred_at < %L', until));
        EXECUTE format('SELECT min(e.id), max(e.id) FROM audit.event e WHERE %s', condition) INTO least_id, greatest_id;
        tiles := format('%s AND (t.first + 255 >= %s AND t.first < %s OR t.least_id <= %s AND t.greatest_id >= %s)',
                        tiles, first, beyond, coalesce(greatest_id, -1), coalesce(least_id, 0));
        relevant := format('(e.id IS NOT NULL OR l.leaf >= %s AND l.leaf < %s)', first, beyond);
    END IF;
    leaves := 'SELECT t.workspace, t.first + i.place - 1 AS leaf, i.id, substr(t.hashes, (32 * (i.place - 1))::integer + 1, 32) AS hash '
              'FROM (SELECT t.workspace, t.first, t.ids, t.hashes || '''' AS hashes FROM audit.tile t '
              'WHERE t.level = 0 AND ' || tiles || ' OFFSET 0) t, unnest(t.ids) WITH ORDINALITY i (id, place) '
              -- Otherwise each leaf carries the hashes of its tile, also to disk.
              'OFFSET 0';
    events := 'FROM audit.event e WHERE ' || condition;

    -- An event that is found under its leaf is right, or changed; an event without a leaf is added; a leaf without an event is looked
    -- for elsewhere.
    RETURN QUERY EXECUTE format(
        'SELECT d.kind, d.workspace, d.leaf, d.id, CASE d.kind '
        '  WHEN ''event_changed'' THEN ''the event is not the one that was sealed'' '
        '  WHEN ''event_missing'' THEN ''the event of this leaf is gone, and retention has not removed it'' '
        '  WHEN ''event_moved'' THEN format(''the event of this leaf is now in workspace "%%s"'', d.found) '
        '  WHEN ''event_hidden'' THEN ''the day on which the event expires is none that its retention gave it: queries do not find it'' '
        '  ELSE ''the event has no leaf, though its transaction was sealed: it did not come by audit.append'' END '
        'FROM (SELECT j.workspace, j.leaf, j.id, (j.elsewhere).workspace AS found, CASE '
        '        WHEN j.event IS NULL AND (j.elsewhere).id IS NULL THEN ''event_missing'' '
        '        WHEN j.event IS NULL AND (j.elsewhere).workspace <> j.workspace THEN ''event_moved'' '
        '        WHEN j.event IS NULL THEN CASE WHEN audit.leaf_hash(j.elsewhere) IS DISTINCT FROM j.hash THEN ''event_changed'' END '
        '        WHEN j.leaf IS NULL THEN CASE WHEN j.is_sealed THEN ''event_added'' END '
        '        WHEN j.event_hash IS DISTINCT FROM j.hash THEN ''event_changed'' '
        '        WHEN j.is_hidden THEN ''event_hidden'' END AS kind '
        '      FROM (SELECT coalesce(l.workspace, e.workspace) AS workspace, coalesce(l.id, e.id) AS id, l.leaf, l.hash, '
        '                   e.id AS event, e.hash AS event_hash, e.is_hidden, l.leaf IS NULL AND %3$s AS is_sealed, '
        '                   CASE WHEN e.id IS NULL THEN (SELECT o FROM audit.event o WHERE o.id = l.id ORDER BY o.workspace <> l.workspace LIMIT 1) END AS elsewhere '
        '            FROM (%1$s) l '
        '            FULL JOIN (SELECT e.workspace, e.id, e.xid, audit.leaf_hash(e) AS hash, '
        '                              e.expires_on < ''infinity'' AND (e.expires_on - (e.occurred_at AT TIME ZONE ''UTC'')::date) '
        '                                  NOT BETWEEN coalesce(w.shortest_days, $4) AND coalesce(w.longest_days, $5) AS is_hidden '
        '                       FROM audit.event e LEFT JOIN audit.workspace w ON w.workspace = e.workspace WHERE %2$s) e '
        '              ON e.workspace = l.workspace AND e.id = l.id '
        '            WHERE %4$s OFFSET 0) j) d '
        'WHERE d.kind IS NOT NULL '
        '  AND NOT (d.kind = ''event_missing'' AND EXISTS (SELECT FROM audit.removal r '
        '               WHERE r.workspace = d.workspace AND d.leaf >= r.first AND d.leaf < r.beyond))',
        leaves, condition,
        -- This transaction's own events are for the next pass.
        '$1 AND (e.id <= $2 OR pg_visible_in_snapshot(e.xid, $3) OR e.xid >= pg_snapshot_xmax(pg_current_snapshot())) '
        'AND NOT e.xid = ANY (ARRAY(SELECT pg_snapshot_xip($3))) AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned()',
        relevant)
    USING is_own, state.ids_after, state.sealed,
          (audit.length_in_days(audit.default_retention())).shortest - 1, (audit.length_in_days(audit.default_retention())).longest + 1;

    RETURN QUERY EXECUTE format(
        'SELECT ''event_doubled'', min(l.workspace), max(l.leaf), l.id, format(''%%s leaves are of this event'', count(*)) '
        'FROM (%s) l GROUP BY l.id HAVING count(*) > 1', leaves);
    RETURN QUERY EXECUTE format(
        'SELECT ''event_doubled'', min(e.workspace), NULL::bigint, e.id, format(''there are %%s rows with this id'', count(*)) '
        'FROM audit.event e WHERE %s GROUP BY e.id HAVING count(*) > 1', condition);
END
$$;
COMMENT ON FUNCTION audit.event_damage(text, timestamptz, timestamptz) IS
    'Which events of a workspace and a time are not those that its log holds; of all workspaces for NULL, and then of all time';

CREATE FUNCTION audit.to_interval(value text) RETURNS interval
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET intervalstyle = 'postgres'
AS $$
BEGIN
    RETURN value::interval;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION audit.to_interval(text) IS 'A text as an interval; NULL where it is none';

CREATE FUNCTION audit.least_retention(space text, since timestamptz) RETURNS interval
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- A change of retention is told for as long as the retentions known; before that, 60 days are the floor of every retention.
    SELECT CASE WHEN since + min(r.retention) > now() THEN min(r.retention) ELSE interval '60 days' END
    FROM (SELECT audit.retention_in_force(space)
          UNION ALL
          SELECT audit.to_interval(t.value)
          FROM audit.event e, LATERAL (VALUES (e.details->>'from'), (e.details->>'to')) t (value)
          WHERE e.workspace = space AND e.action = 'retention_changed' AND e.category = 'audit') r (retention)
$$;
COMMENT ON FUNCTION audit.least_retention(text, timestamptz) IS
    'The shortest retention that a workspace can have had at a time or later, as far as its events tell';

CREATE FUNCTION audit.removal_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    retention interval := audit.retention_in_force(space);
    told audit.event := (SELECT e FROM audit.event e
                         WHERE e.workspace = space AND e.action = 'retention_changed' AND e.category = 'audit'
                         ORDER BY e.occurred_at DESC, e.id DESC LIMIT 1);
BEGIN
    -- Maintenance goes by the retention in audit.workspace, so that must be the one that an event tells of.
    IF told.id IS NOT NULL AND audit.to_interval(told.details->>'to') IS DISTINCT FROM retention THEN
        RETURN NEXT ('retention_forged', space, NULL, told.id,
                     format('retention is %s, the last event that tells of a change of it says %s', retention, told.details->>'to'))::audit.damage;
    ELSIF told.id IS NULL AND retention <> audit.default_retention() AND NOT EXISTS (SELECT FROM audit.removal r WHERE r.workspace = space) THEN
        RETURN NEXT ('retention_forged', space, NULL, NULL, format('retention is %s, and no event tells of it', retention))::audit.damage;
    END IF;

    -- A removal says what an event of the log says, or what one said that has been removed itself.
    RETURN QUERY
    SELECT 'removal_forged', space, r.first, r.event_id, format('no event tells of the removal of leaves %s to %s', r.first, r.beyond - 1)
    FROM audit.removal r
    LEFT JOIN audit.event e ON e.id = r.event_id AND e.category = 'audit'
    WHERE r.workspace = space
      AND NOT (r.first >= 0 AND r.first < r.beyond AND coalesce(
          e.action = 'partition_dropped' AND e.workspace = 'audit'
              AND EXISTS (SELECT FROM jsonb_path_query(e.details, 'lax $.workspaces[*]') w
                          WHERE w->>'workspace' = space AND w->'leaves' @> jsonb_build_array(jsonb_build_array(r.first, r.beyond)))
          OR e.action = 'events_removed' AND e.workspace = space AND e.details->'leaves' @> jsonb_build_array(jsonb_build_array(r.first, r.beyond)),
          audit.is_removed('audit', r.event_id) OR audit.is_removed(space, r.event_id)));

    -- What came after a recorded head, or has a greater id than an event that is still there, is no older than that, unless it was
    -- imported. A day is for what was under way at that time.
    RETURN QUERY
    SELECT 'removal_forged', space, r.first, r.event_id,
           format('leaf %s is of %s or later, and was removed on %s: sooner than retention allows', r.beyond - 1, b.recorded_at, e.recorded_at)
    FROM audit.removal r
    JOIN audit.event e ON e.id = r.event_id
    CROSS JOIN LATERAL audit.leaves(space, r.beyond - 1, r.beyond) l
    CROSS JOIN LATERAL (SELECT greatest((SELECT h.recorded_at FROM audit.head h WHERE h.workspace = space AND h.size < r.beyond ORDER BY h.size DESC LIMIT 1),
                                        (SELECT o.recorded_at FROM audit.event o WHERE o.id < l.id ORDER BY o.id DESC LIMIT 1)) AS recorded_at) b
    WHERE r.workspace = space
      AND b.recorded_at + audit.least_retention(space, e.recorded_at) - interval '1 day' > e.recorded_at
      AND b.recorded_at + audit.least_retention('audit', b.recorded_at) > now()
      AND NOT EXISTS (SELECT FROM audit.event i, audit.leaves(space, r.first, r.beyond) l
                      WHERE i.workspace = 'audit' AND i.action = 'events_imported' AND i.category = 'audit'
                        AND jsonb_typeof(i.details->'first_id') = 'number' AND jsonb_typeof(i.details->'last_id') = 'number'
                        AND l.id >= (i.details->>'first_id')::numeric AND l.id <= (i.details->>'last_id')::numeric);
END
$$;
COMMENT ON FUNCTION audit.removal_damage(text) IS
    'Which removals from the log of a workspace no event explains, or retention cannot have made, and whether its retention is that of its events';

CREATE FUNCTION audit.checkpoint_damage() RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reached bigint := coalesce((SELECT l.size FROM audit.log l WHERE l.workspace = 'audit'), 0);
BEGIN
    RETURN QUERY
    SELECT 'checkpoint_contradicted', 'audit', c.size, NULL::bigint,
           CASE WHEN c.size > reached THEN format('a checkpoint of %s leaves was signed, the system log has %s', c.size, reached)
                ELSE format('the system log has another root at %s leaves than the checkpoint that was signed', c.size) END
    FROM audit.checkpoint c
    WHERE c.root IS DISTINCT FROM audit.known_root('audit', c.size);

    -- Each digest in the events is of a head that is known; the rewriting of a log cannot hide what was recorded of it.
    RETURN QUERY
    SELECT 'head_damaged', 'audit', NULL::bigint, e.id, format('%s of the %s heads in this event are of no log', count(*) FILTER (WHERE k.digest IS NULL), count(*))
    FROM audit.event e
    CROSS JOIN LATERAL jsonb_path_query(e.details, 'lax $.heads[*]') d (digest)
    LEFT JOIN (SELECT h.event_id, audit.head_digest(h.workspace, l.log_id, h.size, h.root) AS digest
               FROM audit.head h JOIN audit.log l USING (workspace)) k ON k.event_id = e.id AND k.digest = d.digest #>> '{}'
    WHERE e.workspace = 'audit' AND e.action = 'heads_recorded'
    GROUP BY e.id HAVING count(*) FILTER (WHERE k.digest IS NULL) > 0;
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
    spaces text[] := ARRAY(
        SELECT l.workspace FROM audit.log l WHERE verify.workspace IS NULL OR l.workspace = verify.workspace
        UNION SELECT t.workspace FROM audit.tile t WHERE verify.workspace IS NULL OR t.workspace = verify.workspace
        UNION SELECT h.workspace FROM audit.head h WHERE verify.workspace IS NULL OR h.workspace = verify.workspace
        UNION SELECT r.workspace FROM audit.removal r WHERE verify.workspace IS NULL OR r.workspace = verify.workspace
        UNION SELECT w.workspace FROM audit.workspace w WHERE verify.workspace IS NULL OR w.workspace = verify.workspace
        ORDER BY 1);
    space text;
BEGIN
    FOREACH space IN ARRAY spaces LOOP
        BEGIN
            RETURN QUERY SELECT * FROM audit.tree_damage(space);
            RETURN QUERY SELECT * FROM audit.head_damage(space);
            RETURN QUERY SELECT * FROM audit.removal_damage(space);
        -- What the server itself cannot read is damage, too, and so are numbers that no log has.
        EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error OR data_exception THEN
            RETURN NEXT ('unreadable', space, NULL, NULL, SQLERRM)::audit.damage;
        END;
    END LOOP;

    -- All at once costs a scan of the whole; a period is found by the workspace.
    IF since IS NULL AND until IS NULL OR workspace IS NOT NULL THEN
        spaces := ARRAY[workspace];
    END IF;
    FOREACH space IN ARRAY spaces LOOP
        BEGIN
            RETURN QUERY
            SELECT d.* FROM audit.event_damage(space, since, until) d
            WHERE NOT (d.kind = 'event_missing' AND audit.is_removed_by_now(d.workspace, d.leaf));
            RETURN QUERY SELECT * FROM audit.redaction_damage(space);
        EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error OR data_exception THEN
            RETURN NEXT ('unreadable', space, NULL, NULL, SQLERRM)::audit.damage;
        END;
    END LOOP;

    BEGIN
        RETURN QUERY SELECT * FROM audit.checkpoint_damage();
    EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error OR data_exception THEN
        RETURN NEXT ('unreadable', 'audit', NULL, NULL, SQLERRM)::audit.damage;
    END;
END
$$;
COMMENT ON FUNCTION audit.verify(text, timestamptz, timestamptz) IS
    'Hashes everything again and names what is damaged, a row each, no row where nothing is: of one workspace or all, and of events since and until a time or all. What was sealed is known; what a checkpoint outside the database says, audit-sidecar compares';
