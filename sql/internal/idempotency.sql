-- Which idempotency keys are taken. audit.append writes it; audit.maintain removes what is older than 48 hours.

CREATE TABLE audit_internal.idempotency_key (
    workspace text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    event_id bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (workspace, key)
);
COMMENT ON TABLE audit_internal.idempotency_key IS 'Idempotency keys of the last 48 hours and the event each stands for';
COMMENT ON COLUMN audit_internal.idempotency_key.workspace IS 'Workspace in which the key is taken';
COMMENT ON COLUMN audit_internal.idempotency_key.key IS 'The key that the caller gave';
COMMENT ON COLUMN audit_internal.idempotency_key.event_id IS 'The event that was stored under it';
COMMENT ON COLUMN audit_internal.idempotency_key.recorded_at IS 'When it was taken';

CREATE INDEX idempotency_key_recorded_at ON audit_internal.idempotency_key (recorded_at);
COMMENT ON INDEX audit_internal.idempotency_key_recorded_at IS 'For audit.maintain, which removes the oldest';

SELECT pg_catalog.pg_extension_config_dump('audit_internal.idempotency_key', '');

CREATE FUNCTION audit_internal.forget_idempotency_keys(max_rows bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    forgotten bigint;
BEGIN
    -- By the minute, so that a call soon after finds nothing; what someone uses anew at this moment is not waited for.
    DELETE FROM audit_internal.idempotency_key k WHERE k.ctid = ANY (ARRAY(
        SELECT o.ctid FROM audit_internal.idempotency_key o WHERE o.recorded_at < date_trunc('minute', now()) - interval '48 hours'
        LIMIT max_rows FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$;
COMMENT ON FUNCTION audit_internal.forget_idempotency_keys(bigint) IS 'Removes idempotency keys that are older than 48 hours, at most max_rows; how many';
