-- Verifying redactions: each erased field has an event that tells of it, and the other way round.

CREATE FUNCTION audit_internal.redaction_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'redaction_forged', e.workspace, NULL::bigint, e.id, format('field "%s" was erased, and no event tells of it', f.field)
    FROM audit.event e CROSS JOIN LATERAL unnest(audit_internal.erased_fields(e.salt)) f (field)
    WHERE (space IS NULL OR e.workspace = space) AND audit_internal.is_redacted(e.salt)
      AND NOT EXISTS (
          SELECT FROM audit.redaction r LEFT JOIN audit.event t ON t.id = r.audit_event_id
          WHERE r.event_id = e.id AND r.field = f.field
            AND coalesce(t.workspace = e.workspace AND t.action = 'event_redacted' AND t.details @> jsonb_build_object('event', e.id, 'field', f.field),
                         audit_internal.is_removed(e.workspace, r.audit_event_id)))
    UNION ALL
    SELECT 'redaction_forged', e.workspace, NULL, e.id, format('field "%s" is said to be erased, and is there', r.field)
    FROM audit.redaction r JOIN audit.event e ON e.id = r.event_id
    WHERE (space IS NULL OR e.workspace = space)
      AND (r.field = ANY (audit_internal.erased_fields(e.salt))) IS NOT TRUE
$$;
COMMENT ON FUNCTION audit_internal.redaction_damage(text) IS 'Which events of a workspace, or of all for NULL, have lost a field without an event that tells of it';
