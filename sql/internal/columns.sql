-- The columns of audit.event as the library knows them. Other lists of columns derive from these.

CREATE FUNCTION audit_internal.columns(
    OUT number integer, OUT name text, OUT type regtype, OUT is_not_null boolean, OUT part text, OUT place integer
) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_columns';
COMMENT ON FUNCTION audit_internal.columns() IS
    'Returns the columns of audit.event in their order. part is the part of the hashed line that shows the column, or NULL. place is the place of the column in the line.';

CREATE FUNCTION audit_internal.line_columns() RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_line_columns';
COMMENT ON FUNCTION audit_internal.line_columns() IS
    'Returns the columns that the hashed line shows, in its order, as a select list over audit.event AS e';
