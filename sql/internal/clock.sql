-- The clock of the server, as far as removal trusts it. A clock that is far ahead makes every event look expired, and removal
-- cannot be undone. So maintenance stops removing if the clock has advanced by more than audit.max_clock_step since maintenance or
-- the sealer last saw it. Times of events are no reference: events that are appended while the clock is wrong have its time.

CREATE TABLE audit_internal.clock (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    trusted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    jumped_at timestamptz,
    seen_at timestamptz
);
COMMENT ON TABLE audit_internal.clock IS
    'The clock as it was last seen: one row. A restore adds the row of the dump, and the row with the earliest time counts.';
COMMENT ON COLUMN audit_internal.clock.id IS 'Random id, so that the row of a dump does not collide with that of the new installation';
COMMENT ON COLUMN audit_internal.clock.trusted_at IS 'Last time at which the clock was trusted: the installation, or a later run of maintenance or recording of heads';
COMMENT ON COLUMN audit_internal.clock.jumped_at IS 'Time, by the clock itself, at which the clock was first seen to have jumped, or NULL if it is trusted';
COMMENT ON COLUMN audit_internal.clock.seen_at IS 'Time, by the clock itself, at which the clock was last seen after the jump, or NULL if it is trusted';

INSERT INTO audit_internal.clock DEFAULT VALUES;

SELECT pg_catalog.pg_extension_config_dump('audit_internal.clock', '');

CREATE FUNCTION audit_internal.max_clock_step() RETURNS interval
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_max_clock_step';
COMMENT ON FUNCTION audit_internal.max_clock_step() IS 'Returns audit.max_clock_step, or NULL if it is 0';

CREATE FUNCTION audit_internal.standing_time() RETURNS interval
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_standing_time';
COMMENT ON FUNCTION audit_internal.standing_time() IS 'Returns the time after which a clock that has jumped is trusted without a confirmation';

CREATE FUNCTION audit_internal.trusted_time() RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(min(c.trusted_at), '-infinity') FROM audit_internal.clock c $$;
COMMENT ON FUNCTION audit_internal.trusted_time() IS 'Returns the last time at which the clock was trusted';

CREATE FUNCTION audit_internal.clock_has_jumped() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(now() > audit_internal.trusted_time() + audit_internal.max_clock_step(), false) $$;
COMMENT ON FUNCTION audit_internal.clock_has_jumped() IS
    'Returns whether the clock, as of the beginning of this transaction, is ahead of the last trusted time by more than audit.max_clock_step';

CREATE FUNCTION audit_internal.lock_clock() RETURNS audit_internal.clock
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    locked audit_internal.clock[] := ARRAY(SELECT c FROM audit_internal.clock c ORDER BY c.trusted_at, c.id FOR UPDATE SKIP LOCKED);
    created audit_internal.clock;
BEGIN
    IF cardinality(locked) < (SELECT count(*) FROM audit_internal.clock) THEN
        RETURN NULL;
    END IF;
    IF cardinality(locked) = 0 THEN
        INSERT INTO audit_internal.clock (trusted_at) VALUES ('-infinity') RETURNING * INTO created;
        RETURN created;
    END IF;
    DELETE FROM audit_internal.clock c WHERE c.id <> (locked[1]).id;
    RETURN locked[1];
END
$$;
COMMENT ON FUNCTION audit_internal.lock_clock() IS
    'Locks the row that counts, removes others, and returns it. Returns NULL if another session holds it.';

CREATE FUNCTION audit_internal.watch_clock() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    state audit_internal.clock := audit_internal.lock_clock();
    step interval := audit_internal.max_clock_step();
BEGIN
    IF state.id IS NULL THEN
        -- The other session watches the clock.
        RETURN;
    ELSIF NOT audit_internal.clock_has_jumped() THEN
        IF state.jumped_at IS NOT NULL THEN
            RAISE LOG 'the clock is back at %, and maintenance removes expired events again', now();
        END IF;
        UPDATE audit_internal.clock c SET trusted_at = now(), jumped_at = NULL, seen_at = NULL WHERE c.id = state.id;
    ELSIF state.jumped_at IS NULL OR now() NOT BETWEEN state.jumped_at - step AND state.seen_at + step THEN
        -- This is a new jump, or another jump of a clock that has not been trusted since the last one.
        RAISE WARNING 'the clock has moved from % to %, so maintenance removes no events', state.trusted_at, now()
            USING HINT = 'If the clock is wrong, correct it. If it is right, call audit.confirm_clock(reason). '
                         'Without a call, maintenance trusts the clock after it has stood for a day.';
        UPDATE audit_internal.clock c SET jumped_at = now(), seen_at = now() WHERE c.id = state.id;
    ELSIF now() - state.jumped_at >= audit_internal.standing_time() THEN
        PERFORM audit_internal.trust_clock('system:maintenance', 'the clock has stood since ' || state.jumped_at);
    ELSE
        UPDATE audit_internal.clock c SET seen_at = now() WHERE c.id = state.id;
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.watch_clock() IS
    'Notes the time of the clock. Raises a warning if it has jumped, once for each jump, and trusts it again after it has stood for a day. Does nothing while another session does this.';

CREATE FUNCTION audit_internal.trust_clock(actor text, reason text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
BEGIN
    PERFORM audit.append('clock_confirmed', workspace => 'audit', actor => actor, details => jsonb_build_object(
        'reason', reason, 'from', audit_internal.trusted_time()::text, 'to', now()::text));
    UPDATE audit_internal.clock c SET trusted_at = now(), jumped_at = NULL, seen_at = NULL;
END
$$;
COMMENT ON FUNCTION audit_internal.trust_clock(text, text) IS 'Trusts the clock as it is now, and appends the event clock_confirmed';
