-- Sealing: events that have committed since the last pass get their leaves. Ids are not in the order of commits and have gaps:
-- what is new is told by transaction ids. The sealer keeps which transactions it has seen committed.

CREATE TABLE audit_internal.sealer (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    sealed pg_snapshot NOT NULL,
    ids_after bigint NOT NULL,
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    database oid NOT NULL,
    heads_recorded_at timestamptz
);
COMMENT ON TABLE audit_internal.sealer IS 'How far sealing has come; one row';
COMMENT ON COLUMN audit_internal.sealer.one IS 'Keeps it at one row';
COMMENT ON COLUMN audit_internal.sealer.sealed IS 'Every event of a transaction that is visible in it has its leaf';
COMMENT ON COLUMN audit_internal.sealer.ids_after IS 'Events up to this id came with a restore; their transaction ids are of another cluster';
COMMENT ON COLUMN audit_internal.sealer.system_identifier IS 'Cluster that the transaction ids are of';
COMMENT ON COLUMN audit_internal.sealer.timeline IS 'Its timeline: a promotion or a recovery to a point in time begins another';
COMMENT ON COLUMN audit_internal.sealer.database IS 'Database that it is in';
COMMENT ON COLUMN audit_internal.sealer.heads_recorded_at IS 'When heads were last recorded';

SELECT pg_catalog.pg_extension_config_dump('audit_internal.sealer', '');

CREATE FUNCTION audit_internal.seal_events(since xid8, below xid8, in_progress xid8[], ids_after bigint, snapshot pg_snapshot) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'audit_seal_events';
COMMENT ON FUNCTION audit_internal.seal_events(xid8, xid8, xid8[], bigint, pg_snapshot) IS
    'Gives leaves to the events of transactions from since to before below, and of those that were in progress, as far as the snapshot sees them committed; how many';

CREATE FUNCTION audit_internal.seal_unknown() RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'audit_seal_unknown';
COMMENT ON FUNCTION audit_internal.seal_unknown() IS
    'Gives leaves to all events that no tile names, but for those of this transaction; how many';

CREATE FUNCTION audit_internal.next_transaction_id() RETURNS xid8
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'audit_next_transaction_id';
COMMENT ON FUNCTION audit_internal.next_transaction_id() IS 'The transaction id that the cluster gives out next; it is not taken';

CREATE FUNCTION audit_internal.with_own_transaction(snapshot pg_snapshot) RETURNS pg_snapshot
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT audit_internal.make_snapshot(pg_snapshot_xmax(snapshot), ARRAY(SELECT pg_snapshot_xip(snapshot) UNION ALL SELECT pg_current_xact_id()))
$$;
COMMENT ON FUNCTION audit_internal.with_own_transaction(pg_snapshot) IS 'The snapshot, with this transaction among those in progress';

CREATE FUNCTION audit_internal.make_snapshot(xmax xid8, in_progress xid8[]) RETURNS pg_snapshot
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(':', coalesce((array_agg(x.xid ORDER BY x.xid))[1], make_snapshot.xmax), make_snapshot.xmax,
                     coalesce(string_agg(x.xid::text, ',' ORDER BY x.xid), ''))::pg_snapshot
    FROM (SELECT DISTINCT xid FROM unnest(in_progress) xid WHERE xid < make_snapshot.xmax) x
$$;
COMMENT ON FUNCTION audit_internal.make_snapshot(xid8, xid8[]) IS
    'The snapshot that sees every transaction before xmax but for those in progress';

CREATE FUNCTION audit_internal.extend_snapshot(snapshot pg_snapshot, xmax xid8) RETURNS pg_snapshot
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT audit_internal.make_snapshot(
        greatest(extend_snapshot.xmax, pg_snapshot_xmax(snapshot)),
        ARRAY(SELECT pg_snapshot_xip(snapshot)
              UNION ALL
              SELECT x::text::xid8 FROM generate_series(pg_snapshot_xmax(snapshot)::text::bigint, extend_snapshot.xmax::text::bigint - 1) x))
$$;
COMMENT ON FUNCTION audit_internal.extend_snapshot(pg_snapshot, xid8) IS
    'The snapshot, with the transactions that it does not reach yet, up to before xmax, among those in progress';

CREATE FUNCTION audit_internal.is_restoring() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_inherits i
                   WHERE i.inhparent = 'audit.event'::regclass
                     AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = i.inhrelid AND x.indisprimary))
$$;
COMMENT ON FUNCTION audit_internal.is_restoring() IS
    'Whether a restore is under way: it makes the indexes of partitions after all rows are there';

CREATE FUNCTION audit_internal.begin_incarnation() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = on
AS $$
DECLARE
    system bigint := (SELECT c.system_identifier FROM pg_control_system() c);
    own_timeline integer := (SELECT c.timeline_id FROM pg_control_checkpoint() c);
    own_database oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
    last_id bigint := (SELECT s.last_value FROM audit_internal.event_id_seq s);
    visible pg_snapshot := pg_current_snapshot();
    state audit_internal.sealer := (SELECT s FROM audit_internal.sealer s);
    amount bigint := 0;
BEGIN
    IF state.system_identifier = system AND state.database = own_database
       AND pg_snapshot_xmax(state.sealed) <= audit_internal.next_transaction_id() THEN
        IF state.timeline <> own_timeline THEN
            UPDATE audit_internal.sealer s SET timeline = own_timeline;
            PERFORM audit.append('incarnation_begun', workspace => 'audit', actor => 'system:sealer', details => jsonb_build_object(
                'timeline', own_timeline, 'previous_timeline', state.timeline));
            RETURN 1;
        END IF;
        RETURN 0;
    END IF;

    IF state.sealed IS NULL AND NOT EXISTS (
        SELECT FROM audit.event e
        WHERE e.xid >= pg_snapshot_xmax(pg_current_snapshot()) AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned()
    ) THEN
        -- Without events it may be that a restore has just begun, which brings a row of its own.
        INSERT INTO audit_internal.sealer (sealed, ids_after, system_identifier, timeline, database)
        SELECT '3:3:', 0, system, own_timeline, own_database WHERE EXISTS (SELECT FROM audit.event);
        RETURN 0;
    END IF;
    INSERT INTO audit_internal.sealer (sealed, ids_after, system_identifier, timeline, database)
    -- Whoever has an id by now had a transaction id before: below the next.
    VALUES (audit_internal.with_own_transaction(audit_internal.extend_snapshot(visible, audit_internal.next_transaction_id())), last_id, system, own_timeline, own_database)
    ON CONFLICT ON CONSTRAINT sealer_pkey DO UPDATE
    SET sealed = excluded.sealed, ids_after = excluded.ids_after, system_identifier = excluded.system_identifier,
        timeline = excluded.timeline, database = excluded.database;
    amount := audit_internal.seal_unknown();
    PERFORM audit.append('incarnation_begun', workspace => 'audit', actor => 'system:sealer', details => jsonb_build_object(
        'system_identifier', system::text, 'timeline', own_timeline, 'database', current_database(),
        'previous_system_identifier', state.system_identifier::text, 'events_without_leaf', amount));
    -- The event is for the next pass: whoever calls until nothing is left must call again.
    RETURN greatest(amount, 1);
END
$$;
COMMENT ON FUNCTION audit_internal.begin_incarnation() IS
    'Where the log has been restored into another cluster or database, whose transaction ids are others: seals by id once, and records it; how many were sealed, at least 1 where there is an event of it to seal';

CREATE FUNCTION audit.seal(max_events integer DEFAULT 100000) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET enable_seqscan = off
    SET timezone = 'UTC'
AS $$
DECLARE
    state audit_internal.sealer;
    visible pg_snapshot;
    in_progress xid8[];
    since xid8;
    below xid8;
    first_id bigint;
    upcoming xid8;
    amount bigint;
BEGIN
    IF max_events IS NULL OR max_events < 1 THEN
        RAISE EXCEPTION 'max_events is %, it must be at least 1', coalesce(max_events::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'sealing goes by what has committed, which a % transaction does not see', upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'invalid_transaction_state', HINT = 'Call audit.seal in a READ COMMITTED transaction.';
    END IF;
    -- Loads the library: before, anyone can set its settings.
    PERFORM audit_internal.target_keys('', '{}');
    LOCK TABLE audit_internal.sealer IN SHARE ROW EXCLUSIVE MODE;
    IF audit_internal.is_restoring() THEN
        RETURN 0;
    END IF;
    amount := audit_internal.begin_incarnation();
    IF amount > 0 THEN
        RETURN amount;
    END IF;

    state := (SELECT s FROM audit_internal.sealer s);
    IF state.sealed IS NULL THEN
        RETURN 0;
    END IF;
    since := pg_snapshot_xmax(state.sealed);
    in_progress := ARRAY(SELECT pg_snapshot_xip(state.sealed));
    -- Events that came with a restore can have transaction ids that are still to come here.
    upcoming := audit_internal.next_transaction_id();
    SELECT e.id INTO first_id FROM audit.event e WHERE e.xid >= since AND e.xid < upcoming ORDER BY e.xid LIMIT 1;
    IF first_id IS NULL AND NOT EXISTS (SELECT FROM audit.event e WHERE e.xid = ANY (in_progress)) THEN
        RETURN 0;
    END IF;

    -- What this transaction has appended itself is for the next pass: its number is taken before the snapshot.
    PERFORM pg_current_xact_id();
    visible := audit_internal.with_own_transaction(audit_internal.extend_snapshot(pg_current_snapshot(), since));
    LOOP
        below := NULL;
        -- Counting takes as long as reading: left out where few ids were given out since. Ids are not in the order of transactions,
        -- so that a pass can become larger for it.
        IF (SELECT s.last_value FROM audit_internal.event_id_seq s) - max_events >= first_id THEN
            SELECT e.xid INTO below FROM audit.event e
            WHERE e.xid >= since AND e.xid < pg_snapshot_xmax(visible) ORDER BY e.xid OFFSET max_events LIMIT 1;
        END IF;
        IF below IS NULL THEN
            below := pg_snapshot_xmax(visible);
        ELSIF NOT EXISTS (SELECT FROM audit.event e WHERE e.xid >= since AND e.xid < below) THEN
            -- One transaction of more than max_events: it is not divided.
            below := (below::text::bigint + 1)::text::xid8;
        END IF;
        amount := audit_internal.seal_events(since, below, in_progress, state.ids_after, visible);
        since := below;
        in_progress := ARRAY(SELECT pg_snapshot_xip(visible));
        EXIT WHEN amount > 0 OR since >= pg_snapshot_xmax(visible);
    END LOOP;
    UPDATE audit_internal.sealer SET sealed = audit_internal.make_snapshot(since, in_progress);
    RETURN amount;
END
$$;
COMMENT ON FUNCTION audit.seal(integer) IS
    'Gives leaves to about max_events events that have committed since the last pass, whole transactions, and returns how many: call it until it is 0. Waits for another session that seals (SQLSTATE 22023, 25000 where the transaction is not READ COMMITTED)';

CREATE FUNCTION audit_internal.can_seal() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOCK TABLE audit_internal.sealer IN SHARE ROW EXCLUSIVE MODE NOWAIT;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
$$;
COMMENT ON FUNCTION audit_internal.can_seal() IS
    'Whether nobody else seals just now; until this transaction ends nobody else will. The background worker has more to do than to wait for it';

CREATE FUNCTION audit_internal.wait_for_sealer() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '10s'
AS $$
BEGIN
    LOCK TABLE audit_internal.sealer IN SHARE ROW EXCLUSIVE MODE;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'another session has been sealing for more than 10 seconds'
        USING ERRCODE = 'object_in_use', HINT = 'End the transaction that called audit.seal or audit.record_heads.';
END
$$;
COMMENT ON FUNCTION audit_internal.wait_for_sealer() IS
    'Waits until nobody seals; until this transaction ends nobody else will (SQLSTATE 55006 after 10 s)';

CREATE FUNCTION audit_internal.has_sealer() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'audit_log sealer' AND a.datname = current_database())
$$;
COMMENT ON FUNCTION audit_internal.has_sealer() IS 'Whether a background worker seals this database';

CREATE FUNCTION audit.record_heads() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    chunk record;
    event bigint;
    amount bigint := 0;
BEGIN
    -- A few passes: where events keep coming there is always one more, and the heads need not have the newest.
    FOR pass IN 1..5 LOOP
        EXIT WHEN audit.seal() = 0;
    END LOOP;
    IF audit_internal.is_restoring() THEN
        RETURN 0;
    END IF;
    FOR chunk IN
        SELECT jsonb_agg(n.digest ORDER BY n.digest) AS digests, array_agg(n.workspace) AS workspaces
        FROM (SELECT l.workspace, audit_internal.head_digest(l.workspace, l.log_id, l.size, l.root) AS digest,
                     (row_number() OVER (ORDER BY l.workspace) - 1) / 1000 AS part
              FROM audit.log l
              WHERE l.workspace <> 'audit'
                AND l.size > coalesce((SELECT max(h.size) FROM audit.head h WHERE h.workspace = l.workspace), 0)) n
        GROUP BY n.part
    LOOP
        event := audit.append('heads_recorded', workspace => 'audit', actor => 'system:sealer',
                              details => jsonb_build_object('heads', chunk.digests));
        INSERT INTO audit.head (workspace, size, root, event_id, recorded_at)
        SELECT l.workspace, l.size, l.root, event, clock_timestamp() FROM audit.log l WHERE l.workspace = ANY (chunk.workspaces);
        amount := amount + cardinality(chunk.workspaces);
    END LOOP;
    UPDATE audit_internal.sealer SET heads_recorded_at = clock_timestamp();
    RETURN amount;
END
$$;
COMMENT ON FUNCTION audit.record_heads() IS
    'Seals, and appends the heads that have changed to the system log, where the next audit.seal gives them their leaf; how many heads (SQLSTATE 25000 where the transaction is not READ COMMITTED)';
