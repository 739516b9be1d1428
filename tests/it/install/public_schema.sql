-- Schema audit as text, a row for each line.
WITH functions AS (
    SELECT p.oid::pg_catalog.regprocedure::text AS name, p.*
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'audit'::pg_catalog.regnamespace
), relations AS (
    SELECT c.oid::pg_catalog.regclass::text AS name,
           CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE'
                          WHEN 'c' THEN 'TYPE' ELSE c.relkind::text END AS kind, c.*
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = 'audit'::pg_catalog.regnamespace AND c.relkind NOT IN ('i', 'I', 't')
), grants AS (
    SELECT g.class, g.oid, g.sub,
           'granted to ' || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(g.grantee) END
           || ': ' || pg_catalog.string_agg(g.privilege_type || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END,
                                            ', ' ORDER BY g.privilege_type) AS line
    FROM (SELECT 'function' AS class, f.oid, 0 AS sub, f.proowner AS owner, a.*
          FROM functions f, pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) a
          UNION ALL
          SELECT 'relation', r.oid, 0, r.relowner, a.*
          FROM relations r, pg_catalog.aclexplode(coalesce(r.relacl, pg_catalog.acldefault('r', r.relowner))) a
          UNION ALL
          SELECT 'relation', r.oid, t.attnum, r.relowner, a.*
          FROM relations r JOIN pg_catalog.pg_attribute t ON t.attrelid = r.oid, pg_catalog.aclexplode(t.attacl) a
          UNION ALL
          SELECT 'schema', n.oid, 0, n.nspowner, a.*
          FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
          WHERE n.nspname = 'audit') g
    WHERE g.grantee <> g.owner
    GROUP BY g.class, g.oid, g.sub, g.grantee
), lines AS (
    SELECT 0 AS part, 'schema' AS name, 0 AS section, 0 AS place, 'SCHEMA audit' AS line
    UNION ALL
    SELECT 0, 'schema', 1, 0, '    ' || g.line FROM grants g WHERE g.class = 'schema'

    UNION ALL
    SELECT 1, f.name, 0, 0, 'FUNCTION ' || f.oid::pg_catalog.regproc FROM functions f
    UNION ALL
    SELECT 1, f.name, 1, a.place::integer,
           pg_catalog.concat_ws(' ', '    argument', CASE f.proargmodes[a.place] WHEN 'o' THEN 'OUT' WHEN 'b' THEN 'INOUT' WHEN 't' THEN 'TABLE' WHEN 'v' THEN 'VARIADIC' END,
                                f.proargnames[a.place], pg_catalog.format_type(a.type, NULL),
                                'DEFAULT ' || pg_catalog.pg_get_function_arg_default(f.oid, a.place::integer))
    FROM functions f, pg_catalog.unnest(coalesce(f.proallargtypes, f.proargtypes::oid[])) WITH ORDINALITY a (type, place)
    UNION ALL
    SELECT 1, f.name, 2, 0,
           pg_catalog.concat_ws(', ', '    returns ' || CASE WHEN f.proretset THEN 'SETOF ' ELSE '' END || pg_catalog.format_type(f.prorettype, NULL),
                                CASE f.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
                                CASE f.proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' ELSE 'parallel unsafe' END,
                                CASE WHEN f.proisstrict THEN 'strict' END,
                                CASE WHEN f.prosecdef THEN 'security definer' ELSE 'security invoker' END)
    FROM functions f
    UNION ALL
    SELECT 1, f.name, 3, 0, '    ' || g.line FROM functions f JOIN grants g ON g.class = 'function' AND g.oid = f.oid

    UNION ALL
    SELECT 2, r.name, 0, 0, r.kind || ' ' || r.name || coalesce(' PARTITION BY ' || pg_catalog.pg_get_partkeydef(r.oid), '') FROM relations r
    UNION ALL
    SELECT 2, r.name, 1, a.attnum,
           pg_catalog.concat_ws(' ', '    column', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), 'COLLATE ' || pg_catalog.quote_ident(l.collname),
                                CASE WHEN a.attnotnull THEN 'NOT NULL' END, 'DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid))
    FROM relations r
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation AND l.collname <> 'default'
    UNION ALL
    SELECT 2, r.name, 2, 0, '    ' || pg_catalog.pg_get_viewdef(r.oid) FROM relations r WHERE r.relkind = 'v'
    UNION ALL
    -- PostgreSQL 18 also lists NOT NULL here; the column says it.
    SELECT 2, r.name, 3, 0, '    constraint ' || c.conname || ' ' || pg_catalog.pg_get_constraintdef(c.oid)
    FROM relations r JOIN pg_catalog.pg_constraint c ON c.conrelid = r.oid AND c.contype <> 'n'
    UNION ALL
    SELECT 2, r.name, 4, 0, '    index ' || pg_catalog.pg_get_indexdef(i.indexrelid)
    FROM relations r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
    UNION ALL
    SELECT 2, r.name, 5, 0,
           '    trigger ' || pg_catalog.pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'A' THEN ' (always)' WHEN 'O' THEN '' ELSE ' (' || t.tgenabled::text || ')' END
    FROM relations r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT 2, r.name, 6, g.sub, pg_catalog.concat_ws(' ', '   ', a.attname, g.line)
    FROM relations r
    JOIN grants g ON g.class = 'relation' AND g.oid = r.oid
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = g.sub AND g.sub > 0
    WHERE r.relkind <> 'c'
)
SELECT l.line FROM lines l ORDER BY l.part, l.name COLLATE "C", l.section, l.place, l.line COLLATE "C"
