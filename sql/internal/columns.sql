-- The columns of audit.event as the library knows them: what is made of them derives from here.

CREATE FUNCTION audit_internal.columns(
    OUT number integer, OUT name text, OUT type regtype, OUT is_not_null boolean, OUT part text, OUT place integer
) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_columns';
COMMENT ON FUNCTION audit_internal.columns() IS
    'The columns of audit.event, numbered in their order: which part of the hashed line shows the column (NULL: none), and its place in the line';

CREATE FUNCTION audit_internal.line_columns() RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_line_columns';
COMMENT ON FUNCTION audit_internal.line_columns() IS
    'The columns that the hashed line shows, in its order, as a select list over audit.event AS e';
