-- Capture: events of the changes of a table's rows.

CREATE FUNCTION audit.capture(
    relation regclass,
    action text DEFAULT NULL,
    target text DEFAULT NULL,
    workspace text DEFAULT NULL,
    exclude text[] DEFAULT '{}',
    category text DEFAULT 'other'
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    table_name text := (SELECT c.relname FROM pg_class c WHERE c.oid = relation);
    key text := (SELECT string_agg('{' || a.attname || '}', ',' ORDER BY k.position)
                 FROM pg_index x, unnest(x.indkey) WITH ORDINALITY k(number, position), pg_attribute a
                 WHERE x.indrelid = relation AND x.indisprimary AND a.attrelid = relation AND a.attnum = k.number);
    used text[];
    unknown text;
    options jsonb;
BEGIN
    PERFORM audit_internal.check_capture_caller(relation);
    action := coalesce(action, table_name);
    target := coalesce(target, table_name || ':' || key);
    exclude := coalesce(exclude, '{}');
    PERFORM audit_internal.register_capture(action, category, relation);

    used := exclude || ARRAY(SELECT m[1] FROM regexp_matches(concat(target, workspace), '\{([^{}]*)\}', 'g') m);
    SELECT coalesce(u.name, 'NULL') INTO unknown FROM unnest(used) u(name)
    WHERE NOT EXISTS (SELECT FROM pg_attribute a
                      WHERE a.attrelid = relation AND a.attname = u.name AND a.attnum > 0 AND NOT a.attisdropped) LIMIT 1;
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'table % has no column "%"', relation, left(unknown, 100)
            USING ERRCODE = 'ZA003', HINT = 'Name columns of the table in exclude, and in braces in target and workspace, such as ticket:{ticket_id}.';
    END IF;
    -- Names last through a dump, numbers through a renaming of columns. The OID tells which of them hold.
    options := jsonb_build_object(
        'action', action, 'target', target, 'workspace', workspace, 'exclude', exclude, 'relation', relation::oid::bigint,
        'numbers', (SELECT coalesce(jsonb_object_agg(a.attname, a.attnum), '{}') FROM pg_attribute a
                    WHERE a.attrelid = relation AND a.attname = ANY (used)));
    EXECUTE format('CREATE OR REPLACE TRIGGER audit_capture AFTER INSERT OR UPDATE OR DELETE ON %s '
                   'FOR EACH ROW EXECUTE FUNCTION audit_internal.capture_row(%L)', relation, options);
    EXECUTE format('CREATE OR REPLACE TRIGGER audit_capture_truncate BEFORE TRUNCATE ON %s '
                   'FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.capture_truncate(%L)', relation, options);
    PERFORM audit.append('capture_started', workspace => 'audit', actor => audit_internal.who(), target => 'table:' || relation,
                         details => options - 'relation' - 'numbers');
END
$$;
COMMENT ON FUNCTION audit.capture(regclass, text, text, text, text[], text) IS
    'Makes each INSERT, UPDATE, DELETE and TRUNCATE of a table append an event for each row, with the old and new values. A second call changes the settings (SQLSTATE ZA003, 42501 if the caller does not own the table).';

CREATE FUNCTION audit.end_capture(relation regclass) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    options jsonb := audit_internal.capture_options(relation);
BEGIN
    PERFORM audit_internal.check_capture_caller(relation);
    IF options IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TRIGGER audit_capture ON %s', relation);
    EXECUTE format('DROP TRIGGER IF EXISTS audit_capture_truncate ON %s', relation);
    PERFORM audit.append('capture_ended', workspace => 'audit', actor => audit_internal.who(), target => 'table:' || relation,
                         details => options - 'relation' - 'numbers');
    RETURN true;
END
$$;
COMMENT ON FUNCTION audit.end_capture(regclass) IS
    'Ends the capture of a table, and returns whether there was one (SQLSTATE ZA003, 42501 if the caller does not own the table)';

CREATE FUNCTION audit.captured() RETURNS TABLE (
    relation regclass, is_captured boolean, action text, target text, workspace text, exclude text[], problem text
)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.oid::regclass, o.options IS NOT NULL, o.options->>'action', o.options->>'target', o.options->>'workspace',
           ARRAY(SELECT jsonb_array_elements_text(o.options->'exclude')),
           CASE WHEN o.options IS NULL THEN NULL
                WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'audit_capture' AND t.tgenabled IN ('D', 'R'))
                    THEN 'trigger audit_capture is disabled'
                -- 29: AFTER, for each row, on INSERT, UPDATE and DELETE
                WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'audit_capture'
                                                        AND (t.tgtype <> 29 OR t.tgqual IS NOT NULL OR t.tgattr <> ''))
                    THEN 'trigger audit_capture is not that of audit.capture'
                -- A partition has no such trigger: TRUNCATE of the partitioned table calls that of the table. 34: BEFORE, on TRUNCATE
                WHEN NOT EXISTS (SELECT FROM pg_trigger t
                                 WHERE t.tgrelid = c.oid AND t.tgname = 'audit_capture_truncate' AND t.tgenabled IN ('O', 'A')
                                   AND t.tgfoid = 'audit_internal.capture_truncate()'::regprocedure AND t.tgtype = 34 AND t.tgqual IS NULL)
                    AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'audit_capture' AND t.tgparentid <> 0)
                    THEN 'trigger audit_capture_truncate is missing, disabled or replaced'
                ELSE (SELECT format('column "%s" does not exist', n.name)
                      FROM jsonb_each_text(o.options->'numbers') n(name, number)
                      WHERE NOT EXISTS (SELECT FROM pg_attribute a
                                        WHERE a.attrelid = c.oid AND NOT a.attisdropped
                                          AND CASE WHEN o.options->'relation' = to_jsonb(c.oid::bigint) THEN a.attnum = n.number::integer
                                                   ELSE a.attname = n.name END)
                      ORDER BY 1 LIMIT 1)
           END
    FROM pg_class c
    CROSS JOIN LATERAL audit_internal.capture_options(c.oid) o(options)
    WHERE audit_internal.can_be_captured(c.oid) AND (NOT c.relispartition OR o.options IS NOT NULL)
    ORDER BY c.oid::regclass::text COLLATE "C"
$$;
COMMENT ON FUNCTION audit.captured() IS
    'Returns the tables of the database, whether their changes are captured, with which settings, and what is wrong with the capture';
