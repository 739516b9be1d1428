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
