-- Redaction: one field of one event is erased for good, its salt with it. Its digest stays, so the leaf of the event does not change
-- and every proof holds.

CREATE TABLE audit.redaction (
    event_id bigint NOT NULL,
    field text COLLATE "C" NOT NULL,
    redacted_at timestamptz NOT NULL,
    redacted_by text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    audit_event_id bigint NOT NULL,
    PRIMARY KEY (event_id, field)
);
COMMENT ON TABLE audit.redaction IS 'Fields of events that were erased';
COMMENT ON COLUMN audit.redaction.event_id IS 'The event';
COMMENT ON COLUMN audit.redaction.field IS 'The field: actor, targets, source or details';
COMMENT ON COLUMN audit.redaction.redacted_at IS 'When it was erased';
COMMENT ON COLUMN audit.redaction.redacted_by IS 'Who had it erased';
COMMENT ON COLUMN audit.redaction.reason IS 'Why';
COMMENT ON COLUMN audit.redaction.audit_event_id IS 'The event event_redacted that tells of it';

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.redaction
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.refuse_change();
ALTER TABLE audit.redaction ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TRIGGER refuse_change ON audit.redaction IS 'Refuses to change what was recorded';

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
            USING ERRCODE = 'ZA003', HINT = 'Fields are actor, targets, source and details.';
    END IF;
    IF coalesce(btrim(reason), '') = '' OR length(reason) > 1000 THEN
        RAISE EXCEPTION 'a redaction needs a reason of 1 to 1000 characters'
            USING ERRCODE = 'ZA003', HINT = 'Say why, without what is to be erased: the reason stays.';
    END IF;
    -- A hold that is placed now waits, or is seen.
    LOCK TABLE audit.legal_hold IN SHARE MODE;
    SELECT e.tableoid::regclass AS partition, e.workspace, e.category INTO place
    FROM audit.event e WHERE e.id = event_id AND audit_internal.is_kept(e.workspace, e.occurred_at, e.actor, e.targets);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no event %', coalesce(event_id::text, 'NULL') USING ERRCODE = 'ZA016';
    END IF;
    IF place.category = 'audit' THEN
        RAISE EXCEPTION 'event % is one of the audit log''s own, which are not redacted', event_id USING ERRCODE = 'ZA017';
    END IF;
    held := audit_internal.held_condition(place.workspace);
    IF held IS NOT NULL THEN
        EXECUTE format('SELECT (%s) IS TRUE FROM %s e WHERE e.id = $1', held, place.partition) INTO is_held USING event_id;
    END IF;
    IF is_held THEN
        RAISE EXCEPTION 'event % is under legal hold', event_id
            USING ERRCODE = 'ZA017', HINT = 'Release the hold first: SELECT * FROM audit.legal_hold WHERE released_at IS NULL.';
    END IF;
    IF EXISTS (SELECT FROM audit.redaction r WHERE r.event_id = redact.event_id AND r.field = redact.field) THEN
        RAISE EXCEPTION 'field "%" of event % has been redacted already', field, event_id USING ERRCODE = 'ZA017';
    END IF;

    redactor := audit_internal.who();
    IF audit_internal.erase_field(place.partition, event_id, field) IS DISTINCT FROM 1 THEN
        RAISE EXCEPTION 'event % was moved at this moment', event_id
            USING ERRCODE = 'serialization_failure', HINT = 'Try again.';
    END IF;
    audit_event_id := audit.append('event_redacted', workspace => place.workspace, actor => redactor, target => 'event:' || event_id,
                            details => jsonb_build_object('event', event_id, 'field', field, 'reason', reason));
    INSERT INTO audit.redaction (event_id, field, redacted_at, redacted_by, reason, audit_event_id)
    VALUES (event_id, field, clock_timestamp(), redactor, reason, audit_event_id);
    RETURN audit_event_id;
END
$$;
COMMENT ON FUNCTION audit.redact(bigint, text, text) IS
    'Erases a field (actor, targets, source or details) of an event for good; the leaf of the event stays valid. Returns the id of the event that tells of it. What backups, WAL and dead rows hold is not touched: VACUUM the partition (SQLSTATE ZA003, ZA016 where there is no such event, ZA017 where it is the log''s own, held, or redacted already)';
