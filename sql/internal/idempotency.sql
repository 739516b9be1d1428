-- Idempotency keys in use. audit.append writes them. audit.maintain removes those that are older than 48 hours.

CREATE TABLE audit_internal.idempotency_key (
    workspace text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    event_id bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (workspace, key)
);
COMMENT ON TABLE audit_internal.idempotency_key IS 'Idempotency keys of the last 48 hours, and the event of each';
COMMENT ON COLUMN audit_internal.idempotency_key.workspace IS 'Workspace of the key';
COMMENT ON COLUMN audit_internal.idempotency_key.key IS 'Key that the caller gave';
COMMENT ON COLUMN audit_internal.idempotency_key.event_id IS 'Event that was appended with the key';
COMMENT ON COLUMN audit_internal.idempotency_key.recorded_at IS 'Time at which the key was first used';

CREATE INDEX idempotency_key_recorded_at ON audit_internal.idempotency_key (recorded_at);
COMMENT ON INDEX audit_internal.idempotency_key_recorded_at IS 'Finds the oldest keys for audit.maintain';

SELECT pg_catalog.pg_extension_config_dump('audit_internal.idempotency_key', '');

CREATE FUNCTION audit_internal.forget_idempotency_keys(max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    forgotten bigint;
BEGIN
    IF audit_internal.clock_has_jumped() THEN
        RETURN 0;
    END IF;
    -- A clock that was ahead for a while must not keep keys for longer.
    UPDATE audit_internal.idempotency_key k SET recorded_at = now() WHERE k.ctid = ANY (ARRAY(
        SELECT o.ctid FROM audit_internal.idempotency_key o WHERE o.recorded_at > now() + interval '1 hour'
        LIMIT max_rows FOR UPDATE SKIP LOCKED));
    -- Keys expire by the minute, so that a call soon after this one finds none. Keys that another session is using are skipped.
    DELETE FROM audit_internal.idempotency_key k WHERE k.ctid = ANY (ARRAY(
        SELECT o.ctid FROM audit_internal.idempotency_key o WHERE o.recorded_at < date_trunc('minute', now()) - interval '48 hours'
        LIMIT max_rows FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$;
COMMENT ON FUNCTION audit_internal.forget_idempotency_keys(bigint) IS
    'Removes idempotency keys that are older than 48 hours, at most max_rows, and returns their number. Gives keys from the future the present time. Does nothing if the clock has jumped.';
