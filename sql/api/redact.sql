-- Redaction erases one field of one event for good, together with the salt of the field. The digest of the field stays, so the
-- leaf of the event does not change and every proof remains valid.

CREATE TABLE audit.redaction (
    event_id bigint NOT NULL,
    field text COLLATE "C" NOT NULL,
    redacted_at timestamptz NOT NULL,
    redacted_by text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    audit_event_id bigint NOT NULL,
    PRIMARY KEY (event_id, field)
);
COMMENT ON TABLE audit.redaction IS 'The fields of events that were erased';
COMMENT ON COLUMN audit.redaction.event_id IS 'Event that lost the field';
COMMENT ON COLUMN audit.redaction.field IS 'Name of the field: actor, targets, source or details';
COMMENT ON COLUMN audit.redaction.redacted_at IS 'Time at which the field was erased';
COMMENT ON COLUMN audit.redaction.redacted_by IS 'Actor that erased the field';
COMMENT ON COLUMN audit.redaction.reason IS 'Reason for the redaction';
COMMENT ON COLUMN audit.redaction.audit_event_id IS 'Event event_redacted that records the redaction';

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.redaction
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.refuse_change();
ALTER TABLE audit.redaction ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TRIGGER refuse_change ON audit.redaction IS 'Refuses to change a recorded redaction';

SELECT pg_catalog.pg_extension_config_dump('audit.redaction', '');

CREATE FUNCTION audit.redact(event_id bigint, field text, reason text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
AS $$
#variable_conflict use_variable
DECLARE
    place record;
    held text;
    is_held boolean := false;
    redactor text;
    audit_event_id bigint;
BEGIN
    IF field IS NULL OR field NOT IN ('actor', 'targets', 'source', 'details') THEN
        RAISE EXCEPTION 'field "%" cannot be redacted', coalesce(left(field, 100), 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'Use field actor, targets, source or details.';
    END IF;
    IF coalesce(btrim(reason), '') = '' OR length(reason) > 1000 THEN
        RAISE EXCEPTION 'a redaction needs a reason of 1 to 1000 characters'
            USING ERRCODE = 'ZA003', HINT = 'Do not repeat the erased data in the reason, because the reason is kept.';
    END IF;
    -- A transaction that places a hold now either waits for this one, or has committed and its hold is seen.
    LOCK TABLE audit.legal_hold IN SHARE MODE;
    SELECT e.tableoid::regclass AS partition, e.workspace, e.category INTO place
    FROM audit.event e WHERE e.id = event_id AND audit_internal.is_kept(e.workspace, e.occurred_at, e.actor, e.targets);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no event %', coalesce(event_id::text, 'NULL') USING ERRCODE = 'ZA016';
    END IF;
    IF place.category = 'audit' THEN
        RAISE EXCEPTION 'event % is of category audit and cannot be redacted', event_id USING ERRCODE = 'ZA017';
    END IF;
    held := audit_internal.held_condition(place.workspace);
    IF held IS NOT NULL THEN
        EXECUTE format('SELECT (%s) IS TRUE FROM %s e WHERE e.id = $1', held, place.partition) INTO is_held USING event_id;
    END IF;
    IF is_held THEN
        RAISE EXCEPTION 'event % is under legal hold', event_id
            USING ERRCODE = 'ZA017', HINT = 'Release the hold first. To list the active legal holds, run SELECT * FROM audit.legal_hold WHERE released_at IS NULL.';
    END IF;
    IF EXISTS (SELECT FROM audit.redaction r WHERE r.event_id = redact.event_id AND r.field = redact.field) THEN
        RAISE EXCEPTION 'field "%" of event % is already redacted', field, event_id USING ERRCODE = 'ZA017';
    END IF;

    redactor := audit_internal.who();
    IF audit_internal.erase_field(place.partition, event_id, field) IS DISTINCT FROM 1 THEN
        RAISE EXCEPTION 'event % was moved by another transaction', event_id
            USING ERRCODE = 'serialization_failure', HINT = 'Retry the transaction.';
    END IF;
    audit_event_id := audit.append('event_redacted', workspace => place.workspace, actor => redactor, target => 'event:' || event_id,
                            details => jsonb_build_object('event', event_id, 'field', field, 'reason', reason));
    INSERT INTO audit.redaction (event_id, field, redacted_at, redacted_by, reason, audit_event_id)
    VALUES (event_id, field, clock_timestamp(), redactor, reason, audit_event_id);
    RETURN audit_event_id;
END
$$;
COMMENT ON FUNCTION audit.redact(bigint, text, text) IS
    'Erases a field (actor, targets, source or details) of an event for good, and returns the id of the event that records this. The leaf of the event stays valid. Backups, WAL and dead rows keep the erased data: run VACUUM on the partition (SQLSTATE ZA003, ZA016 if there is no such event, ZA017 if it is of category audit, under legal hold or already redacted).';
