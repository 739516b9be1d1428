-- Verification hashes all events again, from the rows up to the checkpoints, and names every damage. It works on a hot standby
-- and in a READ ONLY transaction. All of it sees one snapshot.

CREATE TYPE audit.damage AS (
    kind text,
    workspace text,
    leaf bigint,
    event_id bigint,
    problem text
);
COMMENT ON TYPE audit.damage IS 'A difference between the stored data and what sealing recorded';

CREATE FUNCTION audit.verify(workspace text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, bound_caller oid DEFAULT NULL)
    RETURNS SETOF audit.damage
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
DECLARE
    spaces text[] := ARRAY(
        SELECT l.workspace FROM audit.log l WHERE verify.workspace IS NULL OR l.workspace = verify.workspace
        UNION SELECT t.workspace FROM audit.tile t WHERE verify.workspace IS NULL OR t.workspace = verify.workspace
        UNION SELECT h.workspace FROM audit.head h WHERE verify.workspace IS NULL OR h.workspace = verify.workspace
        UNION SELECT r.workspace FROM audit.removal r WHERE verify.workspace IS NULL OR r.workspace = verify.workspace
        UNION SELECT w.workspace FROM audit.workspace w WHERE verify.workspace IS NULL OR w.workspace = verify.workspace
        UNION SELECT h.workspace FROM audit.legal_hold h WHERE verify.workspace IS NULL OR h.workspace = verify.workspace
        ORDER BY 1);
    space text;
    -- A problem can name another workspace, and a message of the server can quote what is stored there.
    is_bound boolean := bound_caller IS NOT NULL;
    unreadable constant text := 'the server cannot read a part of the log or the events of this workspace';
BEGIN
    -- This lock prevents the drop of a partition, whose removal this snapshot would not see.
    PERFORM FROM audit.event WHERE false;
    FOREACH space IN ARRAY spaces LOOP
        BEGIN
            RETURN QUERY SELECT * FROM audit_internal.tree_damage(space);
            RETURN QUERY SELECT * FROM audit_internal.head_damage(space);
            RETURN QUERY SELECT * FROM audit_internal.retention_damage(space);
            RETURN QUERY SELECT * FROM audit_internal.hold_damage(space);
            RETURN QUERY SELECT * FROM audit_internal.removal_damage(space);
        -- Data that the server cannot read is damage, too, and so are numbers that no workspace log can have.
        EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error OR data_exception THEN
            RETURN NEXT ('unreadable', space, NULL, NULL, CASE WHEN is_bound THEN unreadable ELSE SQLERRM END)::audit.damage;
        END;
    END LOOP;
    -- Without a period, one scan covers all workspaces. A period is found by the workspace.
    IF since IS NULL AND until IS NULL OR workspace IS NOT NULL THEN
        spaces := ARRAY[workspace];
    END IF;
    FOREACH space IN ARRAY spaces LOOP
        BEGIN
            RETURN QUERY
            SELECT d.kind, d.workspace, d.leaf, d.event_id,
                   CASE WHEN is_bound AND d.kind = 'event_moved' THEN 'the event of this leaf is now in another workspace' ELSE d.problem END
            FROM audit_internal.event_damage(space, since, until) d
            WHERE NOT (d.kind = 'event_missing' AND audit_internal.is_removed_by_now(d.workspace, d.leaf));
            RETURN QUERY SELECT * FROM audit_internal.redaction_damage(space);
        EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error OR data_exception THEN
            RETURN NEXT ('unreadable', space, NULL, NULL, CASE WHEN is_bound THEN unreadable ELSE SQLERRM END)::audit.damage;
        END;
    END LOOP;

    IF NOT audit_internal.may_read(bound_caller, 'audit') THEN
        RETURN;
    END IF;
    BEGIN
        RETURN QUERY SELECT * FROM audit_internal.checkpoint_damage();
        RETURN QUERY SELECT * FROM audit_internal.told_head_damage();
    EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error OR data_exception THEN
        RETURN NEXT ('unreadable', 'audit', NULL, NULL, SQLERRM)::audit.damage;
    END;
END
$$;
COMMENT ON FUNCTION audit.verify(text, timestamptz, timestamptz, oid) IS
    'Hashes everything again and returns a row for each damage. Covers one workspace or all, and optionally only events between since and until. Checks what was sealed. audit-sidecar also compares checkpoints kept outside the database.';
