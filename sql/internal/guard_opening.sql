-- The openings of the guard (sql/api/guard.sql). extension/src/guard/state.rs reads them.

CREATE TABLE audit_internal.guard_opening (
    event_id bigint PRIMARY KEY,
    closes_at timestamptz NOT NULL,
    closed_at timestamptz
);
COMMENT ON TABLE audit_internal.guard_opening IS 'The openings of the guard. A restore does not bring them.';
COMMENT ON COLUMN audit_internal.guard_opening.event_id IS 'Event guard_opened that records the opening';
COMMENT ON COLUMN audit_internal.guard_opening.closes_at IS 'Time at which the guard closes by itself';
COMMENT ON COLUMN audit_internal.guard_opening.closed_at IS 'Time at which the event guard_closed was appended, or NULL';

CREATE FUNCTION audit_internal.guard_mode() RETURNS text
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'audit_guard_mode';
COMMENT ON FUNCTION audit_internal.guard_mode() IS 'Returns the setting audit.guard, or off if the library is not preloaded';

CREATE FUNCTION audit_internal.check_guard_caller() RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION 'role "%" cannot open or close the guard', current_user
            USING ERRCODE = 'insufficient_privilege', HINT = 'Only a superuser can do this.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.check_guard_caller() IS 'Refuses a caller that is not a superuser (SQLSTATE 42501)';

CREATE FUNCTION audit_internal.close_guard(closing_before timestamptz) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    opening audit_internal.guard_opening;
    amount bigint := 0;
BEGIN
    FOR opening IN
        UPDATE audit_internal.guard_opening o SET closed_at = clock_timestamp()
        WHERE o.closed_at IS NULL AND o.closes_at <= closing_before RETURNING o.*
    LOOP
        PERFORM audit.append('guard_closed', workspace => 'audit', actor => audit_internal.who('system:sealer'), details => jsonb_build_object(
            'opened_by_event', opening.event_id, 'closed_at', audit_internal.utc_text(least(opening.closes_at, opening.closed_at))));
        amount := amount + 1;
    END LOOP;
    RETURN amount;
END
$$;
COMMENT ON FUNCTION audit_internal.close_guard(timestamptz) IS
    'Closes the openings of the guard that end until a time, appends the event guard_closed for each, and returns their number';
