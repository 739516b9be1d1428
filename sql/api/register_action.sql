-- Registering actions, and the tags of an action.

CREATE FUNCTION audit.tags_of(action text) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
RETURN coalesce((SELECT a.tags FROM audit_internal.catalog_entry(tags_of.action) a), '{}');
COMMENT ON FUNCTION audit.tags_of(text) IS
    'Returns the tags of an action: those of its row in the catalog or, without one, of the longest pattern that matches';

CREATE FUNCTION audit.register_action(
    action text,
    category text,
    description text,
    details_schema jsonb DEFAULT NULL,
    tags text[] DEFAULT '{}'
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM audit_internal.check_registration(action, category, tags, description, details_schema);
    INSERT INTO audit.action AS a (action, category, description, details_schema, tags)
    VALUES (action, category, description, details_schema, tags)
    ON CONFLICT ON CONSTRAINT action_pkey DO UPDATE
    SET category = excluded.category, description = excluded.description, details_schema = excluded.details_schema,
        tags = excluded.tags;

    PERFORM audit.append('action_registered', workspace => 'audit', target => 'action:' || action,
                         details => jsonb_build_object('action', action, 'category', category, 'description', description,
                                                       'details_schema', details_schema, 'tags', to_jsonb(tags)));
END
$$;
COMMENT ON FUNCTION audit.register_action(text, text, text, jsonb, text[]) IS
    'Adds an action or, with a final *, a pattern of actions to the catalog, or changes one that is not built in. Every append then validates the details against details_schema, a JSON Schema (SQLSTATE ZA003, ZA005, ZA010).';
