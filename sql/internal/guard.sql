-- Protection of events against UPDATE, DELETE and TRUNCATE. Every partition inherits the row trigger. It does not inherit the
-- statement trigger, so audit_internal.create_partition gives each partition its own. That trigger also refuses TRUNCATE and
-- statements that affect no row.

CREATE FUNCTION audit_internal.refuse_change() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'audit_refuse_change';
COMMENT ON FUNCTION audit_internal.refuse_change() IS
    'Trigger: refuses UPDATE, DELETE and TRUNCATE (SQLSTATE ZA001), except when maintenance removes events';
