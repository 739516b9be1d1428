-- The parts of a redaction: how a field is erased, and which fields of an event are.

CREATE FUNCTION audit_internal.redacted_salt(
    id bigint, workspace text, occurred_at timestamptz, recorded_at timestamptz, category text, action text, outcome text,
    actor text, targets text[], ip inet, user_agent text, session_id text, request_id text, database_user text,
    application_name text, client_addr inet, details jsonb, salt bytea, field text
) RETURNS bytea
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_redacted_salt';
COMMENT ON FUNCTION audit_internal.redacted_salt(bigint, text, timestamptz, timestamptz, text, text, text, text, text[], inet, text, text, text, text, text, inet, jsonb, bytea, text) IS
    'What the salt of an event becomes when a field is erased: the salts of the other fields, and the digest of this one';

CREATE FUNCTION audit_internal.redacted_salt(e audit.event, field text) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT audit_internal.redacted_salt(e.id, e.workspace, e.occurred_at, e.recorded_at, e.category, e.action, e.outcome, e.actor, e.targets,
                               e.ip, e.user_agent, e.session_id, e.request_id, e.database_user, e.application_name, e.client_addr,
                               e.details, e.salt, field)
$$;
COMMENT ON FUNCTION audit_internal.redacted_salt(audit.event, text) IS 'The same for a row of the log';

CREATE FUNCTION audit_internal.erase_field(partition regclass, id bigint, field text) RETURNS bigint
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'audit_erase_field';
COMMENT ON FUNCTION audit_internal.erase_field(regclass, bigint, text) IS 'Erases a field of an event in a partition; how many events there were';

CREATE FUNCTION audit_internal.redactions(event_id bigint) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
    SELECT jsonb_agg(jsonb_build_object('field', r.field, 'redacted_at', r.redacted_at, 'redacted_by', r.redacted_by,
                                        'reason', r.reason, 'audit_event_id', r.audit_event_id) ORDER BY r.redacted_at, r.field)
    FROM audit.redaction r WHERE r.event_id = redactions.event_id
$$;
COMMENT ON FUNCTION audit_internal.redactions(bigint) IS 'The fields of an event that were erased, when, by whom and why; NULL where none was';
