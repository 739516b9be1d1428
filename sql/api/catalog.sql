-- Changing the catalog, and telling every backend that it has changed.

CREATE FUNCTION audit_internal.forget_cached() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'audit_forget_cached';
COMMENT ON FUNCTION audit_internal.forget_cached() IS 'Trigger: makes every backend read the table anew at its next append';

CREATE TRIGGER forget_cached AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON audit.action
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.forget_cached();
ALTER TABLE audit.action ENABLE ALWAYS TRIGGER forget_cached;
COMMENT ON TRIGGER forget_cached ON audit.action IS 'Makes every backend read the catalog anew';
CREATE TRIGGER forget_cached AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON audit.category
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.forget_cached();
ALTER TABLE audit.category ENABLE ALWAYS TRIGGER forget_cached;
COMMENT ON TRIGGER forget_cached ON audit.category IS 'Makes every backend read the categories anew';
CREATE TRIGGER forget_cached AFTER INSERT OR UPDATE OF retention OR DELETE OR TRUNCATE ON audit.workspace
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.forget_cached();
ALTER TABLE audit.workspace ENABLE ALWAYS TRIGGER forget_cached;
COMMENT ON TRIGGER forget_cached ON audit.workspace IS 'Makes every backend read the workspaces anew';

CREATE FUNCTION audit_internal.schema_error(details_schema jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT
    AS 'MODULE_PATHNAME', 'audit_schema_error';
COMMENT ON FUNCTION audit_internal.schema_error(jsonb) IS 'What is wrong with a JSON Schema, or NULL';

CREATE FUNCTION audit.register_action(
    action text,
    category text,
    description text,
    details_schema jsonb DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    problem text;
BEGIN
    IF action IS NULL OR action !~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$' THEN
        RAISE EXCEPTION 'action "%" is not a name', coalesce(left(action, 200), 'NULL')
            USING ERRCODE = 'ZA003',
                  HINT = 'Up to 128 letters, digits and _ . : / -, the first a letter or digit.';
    END IF;
    IF description IS NULL OR description = '' THEN
        RAISE EXCEPTION 'action "%" has no description', action
            USING ERRCODE = 'ZA003', HINT = 'Say what has happened when such an event is recorded.';
    END IF;
    IF category IS NULL OR category = 'audit'
       OR NOT EXISTS (SELECT FROM audit.category c WHERE c.category = register_action.category) THEN
        RAISE EXCEPTION 'an action cannot be registered in category "%"', coalesce(left(category, 100), 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'Categories are auth, admin, rule, writeback, feedback and other.';
    END IF;
    IF EXISTS (SELECT FROM audit.action a WHERE a.action = register_action.action AND a.built_in) THEN
        RAISE EXCEPTION 'action "%" is built in and cannot be changed', action
            USING ERRCODE = 'ZA010', HINT = 'Register an action of your own under another name.';
    END IF;
    problem := audit_internal.schema_error(details_schema);
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'details_schema is not a JSON Schema: %', problem
            USING ERRCODE = 'ZA005', HINT = 'See https://json-schema.org/specification; $ref may only point inside the schema.';
    END IF;

    INSERT INTO audit.action AS a (action, category, description, details_schema)
    VALUES (action, category, description, details_schema)
    ON CONFLICT ON CONSTRAINT action_pkey DO UPDATE
    SET category = excluded.category, description = excluded.description, details_schema = excluded.details_schema;

    PERFORM audit.append('action_registered', workspace => 'audit', target => 'action:' || action,
                         details => jsonb_build_object('action', action, 'category', category, 'description', description,
                                                       'details_schema', details_schema));
END
$$;
COMMENT ON FUNCTION audit.register_action(text, text, text, jsonb) IS
    'Adds an action to the catalog or changes one that is not built in; details_schema, a JSON Schema, is checked at every append (SQLSTATE ZA003, ZA005, ZA010)';
