-- Checkpoints: heads of the system log that were signed outside the database.

CREATE TABLE audit.checkpoint (
    size bigint PRIMARY KEY,
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at timestamptz NOT NULL
);
COMMENT ON TABLE audit.checkpoint IS 'The checkpoints that the sidecar signed';
COMMENT ON COLUMN audit.checkpoint.size IS 'Number of leaves of the system log that the checkpoint commits to';
COMMENT ON COLUMN audit.checkpoint.root IS 'Root of the system log at that size';
COMMENT ON COLUMN audit.checkpoint.note IS 'The signed note (C2SP tlog-checkpoint), with the cosignatures of witnesses';
COMMENT ON COLUMN audit.checkpoint.signed_at IS 'Time at which the checkpoint was stored';

SELECT pg_catalog.pg_extension_config_dump('audit.checkpoint', '');

CREATE FUNCTION audit.record_checkpoint(size bigint, root bytea, note text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF size IS NULL OR root IS NULL OR note IS NULL OR size < 1 OR octet_length(root) <> 32 THEN
        RAISE EXCEPTION 'a checkpoint must have a size of at least 1, a root of 32 bytes and a note'
            USING ERRCODE = 'ZA003';
    END IF;
    INSERT INTO audit.checkpoint AS c (size, root, note, signed_at) VALUES (size, root, note, clock_timestamp())
    ON CONFLICT ON CONSTRAINT checkpoint_pkey DO UPDATE SET note = excluded.note WHERE c.root = excluded.root;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a checkpoint of size % with another root already exists', size
            USING ERRCODE = 'ZA015', HINT = 'The system log was rewritten, or restored from an older copy. Run audit.verify() to find the damage.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit.record_checkpoint(bigint, bytea, text) IS
    'Stores a signed checkpoint. Another note for the same size and root replaces the stored one (SQLSTATE ZA003, ZA015 for another root).';

-- Neighbouring events are covered by the same head, so each head is looked up once.
CREATE FUNCTION audit.protection(workspace text, ids bigint[])
    RETURNS TABLE (id bigint, leaf bigint, recorded_at timestamptz, signed_at timestamptz)
    LANGUAGE sql STABLE STRICT SECURITY DEFINER ROWS 50
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_bitmapscan = off
AS $$
    WITH wanted AS MATERIALIZED (
        SELECT i.id, i.place, audit.leaf_of(protection.workspace, i.id) AS leaf
        FROM unnest(protection.ids) WITH ORDINALITY i (id, place)),
    recorded AS MATERIALIZED (
        -- Checkpoints cover the system log directly.
        SELECT w.*, h.recorded_at, CASE WHEN protection.workspace = 'audit' THEN w.id ELSE h.event_id END AS event_id
        FROM wanted w LEFT JOIN LATERAL (
            SELECT h.event_id, h.recorded_at FROM audit.head h
            WHERE h.workspace = protection.workspace AND h.size > w.leaf ORDER BY h.size LIMIT 1) h ON protection.workspace <> 'audit'),
    signed AS MATERIALIZED (
        SELECT r.event_id, (SELECT c.signed_at FROM audit.checkpoint c
                            WHERE c.size > audit.leaf_of('audit', r.event_id) ORDER BY c.size LIMIT 1) AS signed_at
        FROM (SELECT DISTINCT r.event_id FROM recorded r WHERE r.event_id IS NOT NULL) r)
    SELECT r.id, r.leaf, r.recorded_at, s.signed_at
    FROM recorded r LEFT JOIN signed s USING (event_id) ORDER BY r.place
$$;
COMMENT ON FUNCTION audit.protection(text, bigint[]) IS
    'Returns how far events are protected, in their order: the leaf, the time at which a head that covers it was recorded in the system log, and the time of the first checkpoint that covers this record. Each is NULL if it does not exist yet.';
