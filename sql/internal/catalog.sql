-- The parts of the catalog that need the library.

CREATE FUNCTION audit_internal.forget_cached() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'audit_forget_cached';
COMMENT ON FUNCTION audit_internal.forget_cached() IS 'Trigger: makes every backend read the table again at its next append';

CREATE FUNCTION audit_internal.schema_error(details_schema jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT
    AS 'MODULE_PATHNAME', 'audit_schema_error';
COMMENT ON FUNCTION audit_internal.schema_error(jsonb) IS 'Returns the error in a JSON Schema, or NULL if it is valid';
