-- Verifying redactions: each erased field has an event that tells of it, and the other way round.

CREATE FUNCTION audit_internal.redaction_damage(space text) RETURNS SETOF audit.damage
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'redaction_forged', e.workspace, NULL::bigint, e.id, format('field "%s" was erased, and no event tells of it', f.field)
    FROM audit.event e, unnest(ARRAY['actor', 'targets', 'source', 'details']) WITH ORDINALITY f (field, place)
    WHERE (space IS NULL OR e.workspace = space) AND octet_length(e.salt) > 16 AND get_bit(e.salt, f.place::integer - 1) = 1
      AND NOT EXISTS (
          SELECT FROM audit.redaction r LEFT JOIN audit.event t ON t.id = r.audit_event_id
          WHERE r.event_id = e.id AND r.field = f.field
            AND coalesce(t.workspace = e.workspace AND t.action = 'event_redacted' AND t.details @> jsonb_build_object('event', e.id, 'field', f.field),
                         audit_internal.is_removed(e.workspace, r.audit_event_id)))
    UNION ALL
    SELECT 'redaction_forged', e.workspace, NULL, e.id, format('field "%s" is said to be erased, and is there', r.field)
    FROM audit.redaction r JOIN audit.event e ON e.id = r.event_id
    WHERE (space IS NULL OR e.workspace = space)
      AND (octet_length(e.salt) <= 16 OR get_bit(e.salt, array_position(ARRAY['actor', 'targets', 'source', 'details'], r.field) - 1) = 0)
$$;
COMMENT ON FUNCTION audit_internal.redaction_damage(text) IS 'Which events of a workspace, or of all for NULL, have lost a field without an event that tells of it';
