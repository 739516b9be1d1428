-- Legal hold: what it covers is neither removed nor hidden, however long, until it is released.

CREATE TABLE audit.legal_hold (
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
COMMENT ON TABLE audit.legal_hold IS 'Legal holds, active and released. audit.place_legal_hold and audit.release_legal_hold write it';
COMMENT ON COLUMN audit.legal_hold.workspace IS 'Workspace whose events it covers';
COMMENT ON COLUMN audit.legal_hold.target IS 'Only events with this target, or NULL for all';
COMMENT ON COLUMN audit.legal_hold.actor IS 'Only events of this actor, or NULL for all';
COMMENT ON COLUMN audit.legal_hold.reason IS 'Why it was placed';
COMMENT ON COLUMN audit.legal_hold.placed_at IS 'When it was placed';
COMMENT ON COLUMN audit.legal_hold.placed_by IS 'Who placed it';
COMMENT ON COLUMN audit.legal_hold.released_at IS 'When it was released, or NULL while it is active';
COMMENT ON COLUMN audit.legal_hold.released_by IS 'Who released it';
COMMENT ON COLUMN audit.legal_hold.release_reason IS 'Why it was released';
COMMENT ON COLUMN audit.legal_hold.cleared_at IS 'When nothing was left in audit_internal.event_held that it had kept there';

CREATE UNIQUE INDEX legal_hold_active ON audit.legal_hold (workspace, (coalesce(target, '')), (coalesce(actor, '')))
    WHERE released_at IS NULL;
COMMENT ON INDEX audit.legal_hold_active IS 'At most one active hold of the same extent';
CREATE INDEX legal_hold_not_cleared ON audit.legal_hold (workspace) WHERE cleared_at IS NULL;
COMMENT ON INDEX audit.legal_hold_not_cleared IS 'For queries, which ask whether events of a workspace can be in audit_internal.event_held';

SELECT pg_catalog.pg_extension_config_dump('audit.legal_hold', '');

CREATE FUNCTION audit.place_legal_hold(workspace text, reason text, target text DEFAULT NULL, actor text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM audit_internal.check_legal_hold(workspace, reason, target, actor);
    BEGIN
        INSERT INTO audit.legal_hold (workspace, target, actor, reason, placed_by)
        VALUES (workspace, target, actor, reason, audit_internal.who());
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION 'workspace "%" is under this legal hold already', workspace
            USING ERRCODE = 'ZA012', HINT = 'SELECT * FROM audit.legal_hold WHERE released_at IS NULL lists the active ones.';
    END;
    PERFORM audit.append('legal_hold_placed', workspace => workspace, actor => audit_internal.who(),
                         targets => array_remove(ARRAY['workspace:' || workspace, target, actor], NULL),
                         details => jsonb_build_object('reason', reason, 'target', target, 'actor', actor));
END
$$;
COMMENT ON FUNCTION audit.place_legal_hold(text, text, text, text) IS
    'Keeps what is stored of a workspace, or only its events with a target, of an actor, or both, until the hold is released; an event (SQLSTATE ZA003, ZA012)';

CREATE FUNCTION audit.release_legal_hold(workspace text, reason text, target text DEFAULT NULL, actor text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM audit_internal.check_legal_hold(workspace, reason, target, actor);
    UPDATE audit.legal_hold h
    SET released_at = clock_timestamp(), released_by = audit_internal.who(), release_reason = reason
    WHERE h.workspace = workspace AND h.released_at IS NULL
      AND h.target IS NOT DISTINCT FROM target AND h.actor IS NOT DISTINCT FROM actor;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'workspace "%" is not under such a legal hold', workspace
            USING ERRCODE = 'ZA012',
                  HINT = 'Name the target and actor that it was placed with: SELECT * FROM audit.legal_hold WHERE released_at IS NULL.';
    END IF;
    UPDATE audit.workspace w SET removed_before = NULL WHERE w.workspace = workspace;
    PERFORM audit.append('legal_hold_released', workspace => workspace, actor => audit_internal.who(),
                         targets => array_remove(ARRAY['workspace:' || workspace, target, actor], NULL),
                         details => jsonb_build_object('reason', reason, 'target', target, 'actor', actor));
END
$$;
COMMENT ON FUNCTION audit.release_legal_hold(text, text, text, text) IS
    'Ends the legal hold that was placed with the same target and actor; what is past its retention is hidden at once and goes at the next maintenance; an event (SQLSTATE ZA003, ZA012)';
