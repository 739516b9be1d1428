-- Legal holds. Events that a hold covers are neither removed nor hidden until the hold is released.

CREATE TABLE audit.legal_hold (
    audit_event_id bigint PRIMARY KEY,
    workspace text COLLATE "C" NOT NULL,
    target text COLLATE "C",
    actor text COLLATE "C",
    reason text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    placed_by text NOT NULL,
    released_at timestamptz,
    released_by text,
    release_reason text,
    cleared_at timestamptz
);
COMMENT ON TABLE audit.legal_hold IS 'Legal holds, active and released. audit.place_legal_hold and audit.release_legal_hold write this table.';
COMMENT ON COLUMN audit.legal_hold.audit_event_id IS 'Event legal_hold_placed that records the placing. Later holds have greater ids.';
COMMENT ON COLUMN audit.legal_hold.workspace IS 'Workspace of the events that the hold covers';
COMMENT ON COLUMN audit.legal_hold.target IS 'Target that the events must have, or NULL for any';
COMMENT ON COLUMN audit.legal_hold.actor IS 'Actor that the events must have, or NULL for any';
COMMENT ON COLUMN audit.legal_hold.reason IS 'Reason for the hold';
COMMENT ON COLUMN audit.legal_hold.placed_at IS 'Time at which the hold was placed';
COMMENT ON COLUMN audit.legal_hold.placed_by IS 'Actor that placed the hold';
COMMENT ON COLUMN audit.legal_hold.released_at IS 'Time at which the hold was released, or NULL while it is active';
COMMENT ON COLUMN audit.legal_hold.released_by IS 'Actor that released the hold';
COMMENT ON COLUMN audit.legal_hold.release_reason IS 'Reason for the release';
COMMENT ON COLUMN audit.legal_hold.cleared_at IS 'Time at which audit_internal.event_held was found to hold no more events that the hold kept there';

CREATE UNIQUE INDEX legal_hold_active ON audit.legal_hold (workspace, (coalesce(target, '')), (coalesce(actor, '')))
    WHERE released_at IS NULL;
COMMENT ON INDEX audit.legal_hold_active IS 'Ensures that at most one active hold has the same workspace, target and actor';
CREATE INDEX legal_hold_not_cleared ON audit.legal_hold (workspace) WHERE cleared_at IS NULL;
COMMENT ON INDEX audit.legal_hold_not_cleared IS 'Tells queries whether audit_internal.event_held can hold events of a workspace';

SELECT pg_catalog.pg_extension_config_dump('audit.legal_hold', '');

CREATE FUNCTION audit.place_legal_hold(workspace text, reason text, target text DEFAULT NULL, actor text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM audit_internal.check_legal_hold(workspace, reason, target, actor);
    PERFORM audit_internal.lock_settings();
    BEGIN
        INSERT INTO audit.legal_hold (audit_event_id, workspace, target, actor, reason, placed_by)
        VALUES (audit.append('legal_hold_placed', workspace => workspace, actor => audit_internal.who(),
                             targets => array_remove(ARRAY['workspace:' || workspace, target, actor], NULL),
                             details => jsonb_build_object('reason', reason, 'target', target, 'actor', actor)),
                workspace, target, actor, reason, audit_internal.who());
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION 'workspace "%" already has this legal hold', workspace
            USING ERRCODE = 'ZA012', HINT = 'To list the active legal holds, run SELECT * FROM audit.legal_hold WHERE released_at IS NULL.';
    END;
END
$$;
COMMENT ON FUNCTION audit.place_legal_hold(text, text, text, text) IS
    'Places a legal hold on a workspace, optionally limited to a target, an actor or both, and records an event. Matching events, existing and new, are kept until the hold is released (SQLSTATE ZA003, ZA012).';

CREATE FUNCTION audit.release_legal_hold(workspace text, reason text, target text DEFAULT NULL, actor text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM audit_internal.check_legal_hold(workspace, reason, target, actor);
    PERFORM audit_internal.lock_settings();
    UPDATE audit.legal_hold h
    SET released_at = clock_timestamp(), released_by = audit_internal.who(), release_reason = reason
    WHERE h.workspace = workspace AND h.released_at IS NULL
      AND h.target IS NOT DISTINCT FROM target AND h.actor IS NOT DISTINCT FROM actor;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'workspace "%" has no active legal hold with this target and actor', workspace
            USING ERRCODE = 'ZA012',
                  HINT = 'Pass the target and actor of an active hold. To list these, run SELECT * FROM audit.legal_hold WHERE released_at IS NULL.';
    END IF;
    UPDATE audit.workspace w SET removed_before = NULL WHERE w.workspace = workspace;
    PERFORM audit.append('legal_hold_released', workspace => workspace, actor => audit_internal.who(),
                         targets => array_remove(ARRAY['workspace:' || workspace, target, actor], NULL),
                         details => jsonb_build_object('reason', reason, 'target', target, 'actor', actor));
END
$$;
COMMENT ON FUNCTION audit.release_legal_hold(text, text, text, text) IS
    'Releases the legal hold that was placed with the same target and actor, and records an event. Events past their retention are hidden at once, and removed at the next maintenance (SQLSTATE ZA003, ZA012).';

CREATE FUNCTION audit.legal_holds(workspace text) RETURNS TABLE (
    target text, actor text, reason text, placed_at timestamptz, placed_by text, released_at timestamptz, released_by text, release_reason text
)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 10
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT h.target, h.actor, h.reason, h.placed_at, h.placed_by, h.released_at, h.released_by, h.release_reason
    FROM audit.legal_hold h WHERE h.workspace = legal_holds.workspace ORDER BY h.placed_at, h.audit_event_id
$$;
COMMENT ON FUNCTION audit.legal_holds(text) IS 'Returns the legal holds of a workspace, active and released, in the order in which they were placed';

CREATE FUNCTION audit.keeping(
    workspace text,
    occurred_at timestamptz,
    actor text DEFAULT NULL,
    targets text[] DEFAULT '{}',
    OUT kept_until date,
    OUT retention interval,
    OUT legal_holds bigint
)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM audit_internal.check_workspace(workspace);
    retention := audit_internal.retention_in_force(workspace);
    kept_until := audit_internal.expires_on(occurred_at, retention);
    legal_holds := (SELECT count(*) FROM audit.legal_hold h
                    WHERE h.workspace = workspace AND h.released_at IS NULL
                      AND (h.actor IS NULL OR h.actor = actor) AND (h.target IS NULL OR h.target = ANY (targets)));
END
$$;
COMMENT ON FUNCTION audit.keeping(text, timestamptz, text, text[]) IS
    'Returns the last day (UTC) on which an event with these values is kept, the retention in force, and the number of active legal holds that keep it longer. Reads no event (SQLSTATE ZA003).';
