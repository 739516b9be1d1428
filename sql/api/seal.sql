-- Sealing: committed events get their leaves, and changed heads are appended to the system log.

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
        RAISE EXCEPTION 'max_events is %, but it must be at least 1', coalesce(max_events::text, 'NULL')
            USING ERRCODE = 'ZA003';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'audit.seal() cannot run in a % transaction', upper(current_setting('transaction_isolation') COLLATE "C")
            USING ERRCODE = 'invalid_transaction_state', HINT = 'Call audit.seal() in a READ COMMITTED transaction.';
    END IF;
    -- This call loads the library. Until it is loaded, any role can set its settings.
    PERFORM audit_internal.networks('{}');
    LOCK TABLE audit_internal.sealer IN SHARE ROW EXCLUSIVE MODE;
    IF audit_internal.is_restoring() THEN
        RETURN 0;
    ELSIF audit_internal.is_receiving() THEN
        PERFORM audit_internal.keep_ids_ahead();
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
    -- Events from a restore can have transaction ids that are still in the future here.
    upcoming := audit_internal.next_transaction_id();
    SELECT e.id INTO first_id FROM audit.event e WHERE e.xid >= since AND e.xid < upcoming ORDER BY e.xid LIMIT 1;
    IF first_id IS NULL AND NOT EXISTS (SELECT FROM audit.event e WHERE e.xid = ANY (in_progress)) THEN
        RETURN 0;
    END IF;

    -- The transaction id is taken before the snapshot, so events of this very transaction are left to the next pass.
    PERFORM pg_current_xact_id();
    visible := audit_internal.with_own_transaction(audit_internal.extend_snapshot(pg_current_snapshot(), since));
    LOOP
        below := NULL;
        -- Counting takes as long as reading, so it is skipped if few ids were assigned since. Ids are not in the order of
        -- transactions, so that a pass can become larger.
        IF (SELECT s.last_value FROM audit_internal.event_id_seq s) - max_events >= first_id THEN
            SELECT e.xid INTO below FROM audit.event e
            WHERE e.xid >= since AND e.xid < pg_snapshot_xmax(visible) ORDER BY e.xid OFFSET max_events LIMIT 1;
        END IF;
        IF below IS NULL THEN
            below := pg_snapshot_xmax(visible);
        ELSIF NOT EXISTS (SELECT FROM audit.event e WHERE e.xid >= since AND e.xid < below) THEN
            -- One transaction appended more than max_events. It is not divided.
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
    'Gives leaves to about max_events events that committed since the last pass, and returns their number. Never divides a transaction. Call it until it returns 0. Does nothing while the audit log is received by logical replication. Waits while another session seals (SQLSTATE ZA003, 25000 if the transaction is not READ COMMITTED).';

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
    -- The number of passes is limited: while events keep coming, there is always another pass. The heads need not include the
    -- newest.
    FOR pass IN 1..5 LOOP
        EXIT WHEN audit.seal() = 0;
    END LOOP;
    IF audit_internal.is_restoring() OR audit_internal.is_receiving() THEN
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
        SELECT l.workspace, l.size, l.root, event, e.recorded_at
        FROM audit.log l, audit.event e
        WHERE l.workspace = ANY (chunk.workspaces) AND e.id = event;
        amount := amount + cardinality(chunk.workspaces);
    END LOOP;
    PERFORM audit_internal.close_guard(clock_timestamp());
    PERFORM audit_internal.watch_clock();
    UPDATE audit_internal.sealer SET heads_recorded_at = clock_timestamp();
    RETURN amount;
END
$$;
COMMENT ON FUNCTION audit.record_heads() IS
    'Seals, appends the changed heads to the system log, and returns their number. The next audit.seal gives this event its leaf (SQLSTATE 25000 if the transaction is not READ COMMITTED).';
