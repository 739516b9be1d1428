-- Opening the guard for an emergency. extension/src/guard/ refuses changes of the audit log by every role, if the library is
-- preloaded. An opening counts once its event has a leaf.

CREATE FUNCTION audit.open_guard(reason text, minutes integer) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET log_min_messages = 'log'
AS $$
DECLARE
    mode text := audit_internal.guard_mode();
    end_time timestamptz;
    opening bigint;
BEGIN
    PERFORM audit_internal.check_guard_caller();
    IF mode = 'off' THEN
        RAISE EXCEPTION 'there is no guard to open, because audit_log is not preloaded'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Add audit_log to shared_preload_libraries, and restart the server.';
    ELSIF mode = 'locked' THEN
        RAISE EXCEPTION 'the guard is locked'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Set audit.guard to on in postgresql.conf, and restart the server.';
    END IF;
    IF reason IS NULL OR reason !~ '[^[:space:]]' OR length(reason) > 4000 THEN
        RAISE EXCEPTION 'the opening of the guard needs a reason of 1 to 4000 characters' USING ERRCODE = 'ZA003';
    END IF;
    IF minutes IS NULL OR minutes NOT BETWEEN 1 AND 1440 THEN
        RAISE EXCEPTION 'minutes is %, but it must be between 1 and 1440', coalesce(minutes::text, 'NULL') USING ERRCODE = 'ZA003';
    END IF;
    end_time := clock_timestamp() + make_interval(mins => minutes);
    opening := audit.append('guard_opened', workspace => 'audit', actor => audit_internal.who(), details => jsonb_build_object(
        'reason', reason, 'minutes', minutes, 'closes_at', audit_internal.utc_text(end_time), 'role', session_user));
    INSERT INTO audit_internal.guard_opening (event_id, closes_at) VALUES (opening, end_time);
    RAISE LOG 'audit_log: role "%" opens the guard until % by event %: %', session_user, end_time, opening, reason;
    RAISE NOTICE 'the guard opens when event % is sealed', opening USING HINT = 'Commit, and wait a second or call audit.seal().';
    RETURN opening;
END
$$;
COMMENT ON FUNCTION audit.open_guard(text, integer) IS
    'Opens the guard against changes of the audit log for some minutes, for a superuser''s emergency, and returns the id of the event guard_opened. The guard opens when that event has a leaf, and closes by itself (SQLSTATE ZA003, 42501 if the caller is no superuser, 55000 if the library is not preloaded or audit.guard is locked).';

CREATE FUNCTION audit.close_guard() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM audit_internal.check_guard_caller();
    RETURN audit_internal.close_guard(clock_timestamp() + interval '1 day');
END
$$;
COMMENT ON FUNCTION audit.close_guard() IS
    'Closes the guard if it is open, appends the event guard_closed for each opening, and returns their number (SQLSTATE 42501 if the caller is no superuser)';
