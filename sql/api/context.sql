-- The context of the events of a transaction. The function is in the library: see extension/src/append/set_context.rs.

CREATE FUNCTION audit.context(
    workspace text DEFAULT NULL,
    actor text DEFAULT NULL,
    ip text DEFAULT NULL,
    user_agent text DEFAULT NULL,
    session_id text DEFAULT NULL,
    request_id text DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'audit_context';
COMMENT ON FUNCTION audit.context(text, text, text, text, text, text) IS
    'Sets the workspace, the actor and the origin of all events that this transaction appends. An omitted argument has the default of the session. Warns outside a transaction block, where it has no effect.';
