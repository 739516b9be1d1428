-- The catalog of actions: the row that applies to an action, and the checks of a registration.

CREATE FUNCTION audit_internal.catalog_entry(action text) RETURNS SETOF audit.action
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.* FROM audit.action a
    WHERE a.action = catalog_entry.action
       OR right(a.action, 1) = '*' AND starts_with(catalog_entry.action, left(a.action, -1))
    ORDER BY a.action = catalog_entry.action DESC, length(a.action) DESC
    LIMIT 1
$$;
COMMENT ON FUNCTION audit_internal.catalog_entry(text) IS
    'Returns the row of an action in the catalog or, without one, that of the longest pattern that matches';

CREATE FUNCTION audit_internal.check_registration(
    action text, category text, tags text[], description text, details_schema jsonb
) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    problem text;
    unknown_tag text;
BEGIN
    IF action IS NULL OR length(action) > 128 OR action !~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]*[*]?$' THEN
        RAISE EXCEPTION 'action "%" is not a valid name', coalesce(left(action, 200), 'NULL')
            USING ERRCODE = 'ZA003',
                  HINT = 'Use 1 to 128 letters, digits and _ . : / -. Begin with a letter or digit. A final * makes it a pattern.';
    END IF;
    IF description IS NULL OR description = '' THEN
        RAISE EXCEPTION 'action "%" has no description', action
            USING ERRCODE = 'ZA003', HINT = 'Describe what an event of this action records.';
    END IF;
    IF category IS NULL OR category = 'audit' OR NOT EXISTS (SELECT FROM audit.category c WHERE c.category = category) THEN
        RAISE EXCEPTION 'an action cannot be registered in category "%"', coalesce(left(category, 100), 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'Use category auth, admin, rule, writeback, feedback or other.';
    END IF;
    IF EXISTS (SELECT FROM audit.action a WHERE a.action = action AND a.built_in) THEN
        RAISE EXCEPTION 'action "%" is built in and cannot be changed', action
            USING ERRCODE = 'ZA010', HINT = 'Register an action of your own under another name.';
    END IF;
    SELECT coalesce(u.tag, 'NULL') INTO unknown_tag
    FROM unnest(coalesce(tags, '{NULL}')) u(tag)
    WHERE NOT EXISTS (SELECT FROM audit.tag t WHERE t.tag = u.tag AND t.tag NOT LIKE 'audit\_%') LIMIT 1;
    IF unknown_tag IS NOT NULL THEN
        RAISE EXCEPTION 'an action cannot have the tag "%"', left(unknown_tag, 100)
            USING ERRCODE = 'ZA003', HINT = 'Run SELECT * FROM audit.tag to see the tags. Those of the audit log itself are reserved.';
    END IF;
    problem := audit_internal.schema_error(details_schema);
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'details_schema is not a valid JSON Schema: %', problem
            USING ERRCODE = 'ZA005', HINT = 'See https://json-schema.org/specification. A $ref must point inside the schema.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.check_registration(text, text, text[], text, jsonb) IS
    'Raises an error if the arguments of audit.register_action are not acceptable (SQLSTATE ZA003, ZA005, ZA010)';
