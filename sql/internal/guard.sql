-- Nothing edits or deletes events. The row trigger is inherited by every partition; the statement trigger is not, so
-- audit_internal.create_partition gives each partition its own: it also refuses what would touch no row, and TRUNCATE.

CREATE FUNCTION audit_internal.refuse_change() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'audit_refuse_change';
COMMENT ON FUNCTION audit_internal.refuse_change() IS
    'Trigger: refuses UPDATE, DELETE and TRUNCATE (SQLSTATE ZA001) but for what maintenance removes';

CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON audit.event
    FOR EACH ROW EXECUTE FUNCTION audit_internal.refuse_change();
ALTER TABLE audit.event ENABLE ALWAYS TRIGGER refuse_row_change;
COMMENT ON TRIGGER refuse_row_change ON audit.event IS 'Refuses to change a row, in every partition';

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.event
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.refuse_change();
ALTER TABLE audit.event ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TRIGGER refuse_change ON audit.event IS 'Refuses UPDATE, DELETE and TRUNCATE, whether or not they would find a row';
