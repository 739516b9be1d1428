-- Writing. The functions are in the library; see extension/src/append.

CREATE FUNCTION audit.append(
    action text,
    workspace text DEFAULT NULL,
    actor text DEFAULT NULL,
    target text DEFAULT NULL,
    targets text[] DEFAULT NULL,
    details jsonb DEFAULT NULL,
    outcome text DEFAULT NULL,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL,
    session_id text DEFAULT NULL,
    request_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'audit_append';
COMMENT ON FUNCTION audit.append(text, text, text, text, text[], jsonb, text, inet, text, text, text, text) IS
    'Appends one event in the caller''s transaction and returns its id; what is left out comes from the session context (SQLSTATE ZA002 to ZA007)';

CREATE FUNCTION audit.append_many(events jsonb) RETURNS SETOF bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'audit_append_many';
COMMENT ON FUNCTION audit.append_many(jsonb) IS
    'Appends an array of objects whose keys are the arguments of audit.append, all or nothing, and returns their ids in order; an error names the element (SQLSTATE ZA002 to ZA007)';

CREATE FUNCTION audit.import(events jsonb) RETURNS SETOF bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'audit_import';
COMMENT ON FUNCTION audit.import(jsonb) IS
    'As audit.append_many for events of an existing log: each element carries occurred_at, which must be past and within retention; the import is itself an event (SQLSTATE ZA002 to ZA009)';
