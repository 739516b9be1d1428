-- Which idempotency keys are taken. audit.append writes it; audit.maintain removes what is older than 48 hours.

CREATE TABLE audit.idempotency_key (
    workspace text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    event_id bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (workspace, key)
);
COMMENT ON TABLE audit.idempotency_key IS 'Idempotency keys of the last 48 hours and the event each stands for';
COMMENT ON COLUMN audit.idempotency_key.workspace IS 'Workspace in which the key is taken';
COMMENT ON COLUMN audit.idempotency_key.key IS 'The key that the caller gave';
COMMENT ON COLUMN audit.idempotency_key.event_id IS 'The event that was stored under it';
COMMENT ON COLUMN audit.idempotency_key.recorded_at IS 'When it was taken';

CREATE INDEX idempotency_key_recorded_at ON audit.idempotency_key (recorded_at);
COMMENT ON INDEX audit.idempotency_key_recorded_at IS 'For audit.maintain, which removes the oldest';

SELECT pg_catalog.pg_extension_config_dump('audit.idempotency_key', '');
