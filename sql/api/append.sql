-- Appending. The functions are in the library: see extension/src/append.

CREATE FUNCTION audit.append(
    action text,
    workspace text DEFAULT NULL,
    actor text DEFAULT NULL,
    target text DEFAULT NULL,
    targets text[] DEFAULT NULL,
    details jsonb DEFAULT NULL,
    outcome text DEFAULT NULL,
    ip text DEFAULT NULL,
    user_agent text DEFAULT NULL,
    session_id text DEFAULT NULL,
    request_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'audit_append';
COMMENT ON FUNCTION audit.append(text, text, text, text, text[], jsonb, text, text, text, text, text, text) IS
    'Appends one event in the caller''s transaction and returns its id. Omitted arguments come from the session settings (SQLSTATE ZA002 to ZA007).';

CREATE FUNCTION audit.append_autonomous(
    action text,
    workspace text DEFAULT NULL,
    actor text DEFAULT NULL,
    target text DEFAULT NULL,
    targets text[] DEFAULT NULL,
    details jsonb DEFAULT NULL,
    outcome text DEFAULT NULL,
    ip text DEFAULT NULL,
    user_agent text DEFAULT NULL,
    session_id text DEFAULT NULL,
    request_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'audit_append_autonomous';
COMMENT ON FUNCTION audit.append_autonomous(text, text, text, text, text[], jsonb, text, text, text, text, text, text) IS
    'Appends one event in a transaction of its own, which commits whatever becomes of the caller''s, and returns its id. The arguments are those of audit.append. Needs a preloaded library (SQLSTATE ZA002 to ZA006, ZA018 to ZA020).';

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

-- A client may send U+0000 or half of a surrogate pair, and jsonb refuses both. An even number of backslashes stands for itself.
CREATE FUNCTION audit.details(json_text text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN json_text !~ '\\u(0000|[dD][89a-fA-F])' THEN json_text
                ELSE regexp_replace(regexp_replace(regexp_replace(json_text,
                         '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g'),
                         '(?<!\\)((?:\\\\)*)\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})', '\1\\ufffd', 'g'),
                         '(?<!\\u[dD][89abAB][0-9a-fA-F]{2})(?<!\\)((?:\\\\)*)\\u[dD][c-fC-F][0-9a-fA-F]{2}', '\1\\ufffd', 'g')
           END::jsonb
$$;
COMMENT ON FUNCTION audit.details(text) IS
    'Returns a JSON text as jsonb, for the argument details of audit.append. An escaped U+0000 and half of a surrogate pair, which jsonb refuses, become U+FFFD (SQLSTATE 22P02).';
