-- The parts of a redaction: erasing a field of an event, and finding the erased fields.

CREATE FUNCTION audit_internal.redacted_salt(e audit.event, field text) RETURNS bytea
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_redacted_salt';
COMMENT ON FUNCTION audit_internal.redacted_salt(audit.event, text) IS
    'Returns the new salt of an event whose field is erased. It consists of the salts of the other fields, and the digest of the erased one.';

CREATE FUNCTION audit_internal.erased_fields(salt bytea) RETURNS text[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_erased_fields';
COMMENT ON FUNCTION audit_internal.erased_fields(bytea) IS
    'Returns the fields that were erased from the event with this salt, or NULL if no event has such a salt';

CREATE FUNCTION audit_internal.is_redacted(salt bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_is_redacted';
COMMENT ON FUNCTION audit_internal.is_redacted(bytea) IS 'Returns whether a field was erased from the event with this salt';

CREATE FUNCTION audit_internal.erase_field(partition regclass, id bigint, field text) RETURNS bigint
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'audit_erase_field';
COMMENT ON FUNCTION audit_internal.erase_field(regclass, bigint, text) IS 'Erases a field of an event in a partition, and returns the number of events changed';

-- SECURITY DEFINER, because cursors of audit.export call it when their owner fetches from them.
CREATE FUNCTION audit_internal.redactions(event_id bigint) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
    SELECT jsonb_agg(jsonb_build_object('field', r.field, 'redacted_at', r.redacted_at, 'redacted_by', r.redacted_by,
                                        'reason', r.reason, 'audit_event_id', r.audit_event_id) ORDER BY r.redacted_at, r.field)
    FROM audit.redaction r WHERE r.event_id = redactions.event_id
$$;
COMMENT ON FUNCTION audit_internal.redactions(bigint) IS 'Returns the erased fields of an event, with time, actor and reason of each redaction, or NULL if there are none';
