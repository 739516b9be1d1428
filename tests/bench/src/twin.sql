-- The twin of audit.event, see twin.rs. It is derived from the catalog, so that it cannot differ from the original.

CREATE SCHEMA twin;
CREATE SEQUENCE twin.event_id_seq AS bigint CACHE 1;
CREATE TABLE twin.event (LIKE audit.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE) PARTITION BY RANGE (expires_on);

DO $$
DECLARE
    p record;
    definition text;
BEGIN
    FOR p IN
        SELECT c.oid, c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound
        FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = 'audit.event'::regclass
    LOOP
        EXECUTE format('CREATE TABLE twin.%I PARTITION OF twin.event %s', p.relname, p.bound);
        FOR definition IN SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = p.oid LOOP
            EXECUTE replace(definition, ' audit_internal.' || p.relname || ' ', ' twin.' || p.relname || ' ');
        END LOOP;
    END LOOP;
    IF (SELECT count(*) FROM pg_indexes WHERE schemaname = 'twin')
       <> (SELECT count(*) FROM pg_indexes WHERE schemaname = 'audit_internal' AND tablename ~ '^event_\d') THEN
        RAISE EXCEPTION 'the twin has other indexes than the log';
    END IF;
END
$$;
