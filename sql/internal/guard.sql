-- Nothing edits or deletes events. The row trigger is inherited by every partition; the statement trigger is not, so
-- audit_internal.create_partition gives each partition its own: it also refuses what would touch no row, and TRUNCATE.

CREATE FUNCTION audit_internal.refuse_change() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'audit_refuse_change';
COMMENT ON FUNCTION audit_internal.refuse_change() IS
    'Trigger: refuses UPDATE, DELETE and TRUNCATE (SQLSTATE ZA001) but for what maintenance removes';
