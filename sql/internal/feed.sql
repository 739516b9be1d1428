-- The parts of the feed: the leaves of a range, and stored events by their ids.

CREATE FUNCTION audit_internal.leaf_arrays(space text, first bigint, beyond bigint, OUT ids bigint[], OUT hashes bytea[])
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Both bounds are conditions of the index, unlike in audit.leaves. So the number of leaves that follow does not matter.
    -- The inner OFFSET makes PostgreSQL read each tile once, the outer one sort the hashes rather than the tiles.
    SELECT array_agg(l.id ORDER BY l.leaf), array_agg(l.hash ORDER BY l.leaf) INTO ids, hashes
    FROM (SELECT t.first + i.place - 1 AS leaf, i.id, substr(t.hashes, (32 * (i.place - 1))::integer + 1, 32) AS hash
          FROM (SELECT t.first, t.ids, t.hashes || '' AS hashes FROM audit.tile t
                WHERE t.workspace = space AND t.level = 0
                  AND t.first >= leaf_arrays.first / 256 * 256 AND t.first < leaf_arrays.beyond OFFSET 0) t,
               unnest(t.ids) WITH ORDINALITY i (id, place)
          WHERE t.first + i.place > leaf_arrays.first AND t.first + i.place <= leaf_arrays.beyond OFFSET 0) l;
    IF coalesce(cardinality(ids), 0) <> beyond - first THEN
        RAISE EXCEPTION 'the log of workspace "%" has % of the leaves % to %', space, coalesce(cardinality(ids), 0), first, beyond - 1
            USING ERRCODE = 'data_corrupted', HINT = 'Run audit.verify() to learn the extent of the damage.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.leaf_arrays(text, bigint, bigint) IS
    'Returns the ids and the hashes of the leaves of a workspace log, from first to before beyond, in their order (SQLSTATE XX001 if a leaf is not stored)';

CREATE FUNCTION audit_internal.events_by_id(space text, ids bigint[]) RETURNS SETOF audit.event
    LANGUAGE plpgsql STABLE ROWS 10
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Without ids, nothing is planned for all the partitions.
    IF ids <> '{}' THEN
        RETURN QUERY SELECT * FROM audit.event e WHERE e.id = ANY ((SELECT events_by_id.ids)::bigint[]) AND e.workspace = space;
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.events_by_id(text, bigint[]) IS
    'Returns the stored events of a workspace with these ids, also those past their retention. Looks in every partition.';
