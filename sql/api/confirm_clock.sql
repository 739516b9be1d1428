-- Confirmation of a clock that maintenance does not trust.

CREATE FUNCTION audit.confirm_clock(reason text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF reason IS NULL OR reason !~ '[^[:space:]]' OR length(reason) > 4000 THEN
        RAISE EXCEPTION 'the confirmation of a clock needs a reason of 1 to 4000 characters'
            USING ERRCODE = 'ZA003', HINT = 'Say how you know that the clock is right.';
    END IF;
    -- A run of maintenance holds the row until it ends.
    PERFORM FROM audit_internal.clock c FOR UPDATE;
    IF NOT audit_internal.clock_has_jumped() THEN
        RETURN false;
    END IF;
    PERFORM audit_internal.trust_clock(audit_internal.who(), reason);
    RETURN true;
END
$$;
COMMENT ON FUNCTION audit.confirm_clock(text) IS
    'Confirms that the clock is right after it has moved far ahead, so that maintenance removes expired events again, and records an event. Returns false if maintenance trusts the clock already (SQLSTATE ZA003).';
