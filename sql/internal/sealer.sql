-- The parts of sealing: events that committed since the last pass get their leaves. Ids have gaps and are not in the order of
-- commits, so transaction ids tell which events are new. The sealer stores which transactions it has seen committed.

CREATE TABLE audit_internal.sealer (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    sealed pg_snapshot NOT NULL,
    ids_after bigint NOT NULL,
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    database oid NOT NULL,
    heads_recorded_at timestamptz
);
COMMENT ON TABLE audit_internal.sealer IS 'State of sealing, in one row';
COMMENT ON COLUMN audit_internal.sealer.one IS 'Limits the table to one row';
COMMENT ON COLUMN audit_internal.sealer.sealed IS 'Snapshot: every event of a transaction that is visible in it has its leaf';
COMMENT ON COLUMN audit_internal.sealer.ids_after IS 'Greatest id of events that came from a restore. Their transaction ids belong to another cluster.';
COMMENT ON COLUMN audit_internal.sealer.system_identifier IS 'System identifier of the cluster that the transaction ids belong to';
COMMENT ON COLUMN audit_internal.sealer.timeline IS 'Timeline of the cluster. A promotion or a recovery to a point in time begins another.';
COMMENT ON COLUMN audit_internal.sealer.database IS 'Database of the audit log';
COMMENT ON COLUMN audit_internal.sealer.heads_recorded_at IS 'Time at which heads were last recorded';

SELECT pg_catalog.pg_extension_config_dump('audit_internal.sealer', '');

CREATE FUNCTION audit_internal.seal_events(since xid8, below xid8, in_progress xid8[], ids_after bigint, snapshot pg_snapshot) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'audit_seal_events';
COMMENT ON FUNCTION audit_internal.seal_events(xid8, xid8, xid8[], bigint, pg_snapshot) IS
    'Gives leaves to the events of transactions from since to before below, and of those in progress before, if the snapshot sees them committed. Returns their number.';

CREATE FUNCTION audit_internal.seal_unknown() RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'audit_seal_unknown';
COMMENT ON FUNCTION audit_internal.seal_unknown() IS
    'Gives leaves to all events that no tile contains, except those of this transaction, and returns their number';

CREATE FUNCTION audit_internal.next_transaction_id() RETURNS xid8
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'audit_next_transaction_id';
COMMENT ON FUNCTION audit_internal.next_transaction_id() IS 'Returns the next transaction id of the cluster, without taking it';

CREATE FUNCTION audit_internal.with_own_transaction(snapshot pg_snapshot) RETURNS pg_snapshot
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT audit_internal.make_snapshot(pg_snapshot_xmax(snapshot), ARRAY(SELECT pg_snapshot_xip(snapshot) UNION ALL SELECT pg_current_xact_id()))
$$;
COMMENT ON FUNCTION audit_internal.with_own_transaction(pg_snapshot) IS 'Returns the snapshot with this transaction added to those in progress';

CREATE FUNCTION audit_internal.make_snapshot(xmax xid8, in_progress xid8[]) RETURNS pg_snapshot
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(':', coalesce((array_agg(x.xid ORDER BY x.xid))[1], make_snapshot.xmax), make_snapshot.xmax,
                     coalesce(string_agg(x.xid::text, ',' ORDER BY x.xid), ''))::pg_snapshot
    FROM (SELECT DISTINCT xid FROM unnest(in_progress) xid WHERE xid < make_snapshot.xmax) x
$$;
COMMENT ON FUNCTION audit_internal.make_snapshot(xid8, xid8[]) IS
    'Returns the snapshot that sees every transaction before xmax except those in progress';

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
    'Returns the snapshot extended to xmax. The transactions that it did not reach before count as in progress.';

CREATE FUNCTION audit_internal.is_restoring() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_inherits i
                   WHERE i.inhparent = 'audit.event'::regclass
                     AND NOT (EXISTS (SELECT FROM pg_index x WHERE x.indrelid = i.inhrelid AND x.indisprimary)
                              AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = i.inhrelid AND t.tgname = 'refuse_change')))
$$;
COMMENT ON FUNCTION audit_internal.is_restoring() IS
    'Returns whether a restore is in progress. A restore loads all rows, then creates the indexes of partitions, and then their triggers. The guard begins with the first seal.';

CREATE FUNCTION audit_internal.begin_incarnation() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = on
AS $$
DECLARE
    system bigint := (SELECT c.system_identifier FROM pg_control_system() c);
    own_timeline integer := (SELECT c.timeline_id FROM pg_control_checkpoint() c);
    own_database oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
    last_id bigint;
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

    -- Logical replication does not bring the sequence.
    PERFORM audit_internal.skip_ids(audit_internal.greatest_id());
    IF state.sealed IS NULL AND NOT EXISTS (
        SELECT FROM audit.event e
        WHERE e.xid >= pg_snapshot_xmax(pg_current_snapshot()) AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned()
    ) THEN
        -- Without events, a restore may have just begun, which brings a row of its own.
        INSERT INTO audit_internal.sealer (sealed, ids_after, system_identifier, timeline, database)
        SELECT '3:3:', 0, system, own_timeline, own_database WHERE EXISTS (SELECT FROM audit.event);
        RETURN 0;
    END IF;
    -- Logical replication brings transaction ids of the other cluster.
    UPDATE audit_internal.moved_from m SET last_move = pg_current_xact_id();
    last_id := (SELECT s.last_value FROM audit_internal.event_id_seq s);
    visible := pg_current_snapshot();
    INSERT INTO audit_internal.sealer (sealed, ids_after, system_identifier, timeline, database)
    -- A session that has an id by now had a transaction id before, which is less than the next one.
    VALUES (audit_internal.with_own_transaction(audit_internal.extend_snapshot(visible, audit_internal.next_transaction_id())), last_id, system, own_timeline, own_database)
    ON CONFLICT ON CONSTRAINT sealer_pkey DO UPDATE
    SET sealed = excluded.sealed, ids_after = excluded.ids_after, system_identifier = excluded.system_identifier,
        timeline = excluded.timeline, database = excluded.database;
    amount := audit_internal.seal_unknown();
    PERFORM audit.append('incarnation_begun', workspace => 'audit', actor => 'system:sealer', details => jsonb_build_object(
        'system_identifier', system::text, 'timeline', own_timeline, 'database', current_database(),
        'previous_system_identifier', state.system_identifier::text, 'events_without_leaf', amount));
    -- The event is left to the next pass, so a caller that repeats the call until nothing is left must call again.
    RETURN greatest(amount, 1);
END
$$;
COMMENT ON FUNCTION audit_internal.begin_incarnation() IS
    'Seals by id once if the audit log was restored or replicated into another cluster or database, which has other transaction ids, and records this. Returns the number of sealed events, but at least 1 if it appended an event.';

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
    'Returns whether no other session is sealing. If so, none can seal until this transaction ends. The background worker calls it instead of waiting.';

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
    'Waits until no other session seals. From then on none can seal until this transaction ends (SQLSTATE 55006 after 10 s).';

CREATE FUNCTION audit_internal.has_sealer() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'audit_log sealer' AND a.datname = current_database())
$$;
COMMENT ON FUNCTION audit_internal.has_sealer() IS 'Returns whether a background worker seals this database';
