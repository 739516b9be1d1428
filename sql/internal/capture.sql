-- The parts of capture: the triggers, which are in the library (extension/src/capture), and the checks.

CREATE FUNCTION audit_internal.capture_row() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'audit_capture_row';
COMMENT ON FUNCTION audit_internal.capture_row() IS
    'Trigger: appends an event for a row that was inserted, updated or deleted. Its argument is a JSON object, which audit.capture makes.';

CREATE FUNCTION audit_internal.capture_truncate() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'audit_capture_truncate';
COMMENT ON FUNCTION audit_internal.capture_truncate() IS
    'Trigger: appends an event for each row that TRUNCATE removes. Its argument is that of audit_internal.capture_row.';

CREATE FUNCTION audit_internal.capture_options(relation regclass) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT convert_from(substr(t.tgargs, 1, octet_length(t.tgargs) - 1), 'UTF8')::jsonb
    FROM pg_trigger t
    WHERE t.tgrelid = relation AND t.tgname = 'audit_capture' AND t.tgfoid = 'audit_internal.capture_row()'::regprocedure
$$;
COMMENT ON FUNCTION audit_internal.capture_options(regclass) IS 'Returns the argument of the capture trigger of a table, or NULL if the table has none';

CREATE FUNCTION audit_internal.can_be_captured(relation regclass) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE c.oid = relation AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
                     AND n.nspname NOT IN ('audit', 'audit_internal', 'pg_catalog', 'information_schema', 'pg_toast'))
$$;
COMMENT ON FUNCTION audit_internal.can_be_captured(regclass) IS
    'Returns whether a relation is a table that is neither temporary, foreign, a system catalog nor part of the audit log';

CREATE FUNCTION audit_internal.check_capture_caller(relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- The current role is that of the extension here.
    caller name := CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role') END;
    owner oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = relation);
BEGIN
    IF owner IS NULL THEN
        RAISE EXCEPTION 'the table does not exist' USING ERRCODE = 'ZA003', HINT = 'Pass the name of a table.';
    END IF;
    IF NOT pg_has_role(caller, owner, 'USAGE') THEN
        RAISE EXCEPTION 'role "%" is not the owner of table %', caller, relation
            USING ERRCODE = 'insufficient_privilege', HINT = 'Call the function as the owner of the table, or as a superuser.';
    END IF;
    IF NOT audit_internal.can_be_captured(relation) THEN
        RAISE EXCEPTION '% cannot be captured', relation
            USING ERRCODE = 'ZA003', HINT = 'Only a table that is neither temporary, foreign, a system catalog nor part of the audit log can be captured.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.check_capture_caller(regclass) IS
    'Refuses a table that cannot be captured, and a caller that does not own it (SQLSTATE ZA003, 42501)';

CREATE FUNCTION audit_internal.register_capture(action text, category text, relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    verb text;
    entry audit.action;
BEGIN
    FOREACH verb IN ARRAY '{inserted,updated,deleted}'::text[] LOOP
        entry := (SELECT e FROM audit_internal.catalog_entry(action || '.' || verb) e);
        IF entry IS NULL THEN
            PERFORM audit.register_action(action || '.' || verb, category, format('A row of %s was %s', relation, verb));
        ELSIF entry.category = 'audit' OR EXISTS (SELECT FROM audit.category c WHERE c.category = entry.category AND c.required_keys <> '{}') THEN
            RAISE EXCEPTION 'rows cannot be captured as action "%", because its category is "%"', action || '.' || verb, entry.category
                USING ERRCODE = 'ZA003', HINT = 'Choose another action. The details of a captured row lack the keys of this category.';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit_internal.register_capture(text, text, regclass) IS
    'Registers the actions of a captured table that the catalog does not have yet (SQLSTATE ZA003)';
