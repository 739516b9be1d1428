-- Appending. The functions are in the library: see extension/src/append.

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
    'Appends one event in the caller''s transaction and returns its id. Omitted arguments come from the session settings (SQLSTATE ZA002 to ZA007).';

CREATE FUNCTION audit.append_many(events jsonb) RETURNS SETOF bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'audit_append_many';
COMMENT ON FUNCTION audit.append_many(jsonb) IS
    'Appends all events of an array or none, and returns their ids in order. The keys of each element are the arguments of audit.append. An error names the element (SQLSTATE ZA002 to ZA007).';

CREATE FUNCTION audit.import(events jsonb) RETURNS SETOF bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'audit_import';
COMMENT ON FUNCTION audit.import(jsonb) IS
    'Imports events of an existing audit log like audit.append_many. Each element has an occurred_at, which must be past and within retention. The import is itself an event (SQLSTATE ZA002 to ZA009).';
