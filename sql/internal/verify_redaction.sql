-- Verification of redactions: each erased field has an event that records it, and each record has an erased field.

CREATE FUNCTION audit_internal.redaction_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'redaction_forged', e.workspace, NULL::bigint, e.id, format('field "%s" was erased, but no event records it', f.field)
    FROM audit.event e CROSS JOIN LATERAL unnest(audit_internal.erased_fields(e.salt)) f (field)
    WHERE (space IS NULL OR e.workspace = space) AND audit_internal.is_redacted(e.salt)
      AND NOT EXISTS (
          SELECT FROM audit.redaction r LEFT JOIN audit.event t ON t.id = r.audit_event_id
          WHERE r.event_id = e.id AND r.field = f.field
            AND coalesce(t.workspace = e.workspace AND t.action = 'event_redacted' AND t.details @> jsonb_build_object('event', e.id, 'field', f.field),
                         audit_internal.is_removed(e.workspace, r.audit_event_id)))
    UNION ALL
    SELECT 'redaction_forged', e.workspace, NULL, e.id, format('field "%s" is recorded as erased, but still has a value', r.field)
    FROM audit.redaction r JOIN audit.event e ON e.id = r.event_id
    WHERE (space IS NULL OR e.workspace = space)
      AND (r.field = ANY (audit_internal.erased_fields(e.salt))) IS NOT TRUE
$$;
COMMENT ON FUNCTION audit_internal.redaction_damage(text) IS 'Returns the events whose erased fields and recorded redactions differ, in one workspace, or in all for NULL';
