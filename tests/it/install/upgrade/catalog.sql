-- Everything that the extension puts into the catalogs, a fact for each row. The sizes, numbers and places of objects are left out: they
-- differ between any two databases.
WITH schemas AS (
    SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('audit', 'audit_internal')
), relations AS (
    SELECT c.* FROM pg_catalog.pg_class c JOIN schemas s ON s.oid = c.relnamespace
), objects AS (
    SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass AS class, n.oid, 0 AS sub, n.nspowner AS owner,
           coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) AS acl
    FROM pg_catalog.pg_namespace n JOIN schemas s ON s.oid = n.oid
    UNION ALL
    SELECT 'pg_catalog.pg_extension'::pg_catalog.regclass, e.oid, 0, e.extowner, NULL FROM pg_catalog.pg_extension e WHERE e.extname = 'audit_log'
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, r.oid, 0, r.relowner,
           CASE WHEN r.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
                THEN coalesce(r.relacl, pg_catalog.acldefault(CASE r.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, r.relowner)) END
    FROM relations r
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, a.attrelid, a.attnum, NULL, a.attacl
    FROM pg_catalog.pg_attribute a JOIN relations r ON r.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 0, p.proowner, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
    FROM pg_catalog.pg_proc p JOIN schemas s ON s.oid = p.pronamespace
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, 0, t.typowner, coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))
    FROM pg_catalog.pg_type t JOIN schemas s ON s.oid = t.typnamespace
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid, 0, NULL, NULL
    FROM pg_catalog.pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid, 0, NULL, NULL
    FROM pg_catalog.pg_constraint c JOIN schemas s ON s.oid = c.connamespace
    UNION ALL
    SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid, 0, o.oprowner, NULL
    FROM pg_catalog.pg_operator o JOIN schemas s ON s.oid = o.oprnamespace
), named AS (
    SELECT o.*, i.type || ' ' || i.identity AS name
    FROM objects o CROSS JOIN LATERAL pg_catalog.pg_identify_object(o.class, o.oid, o.sub) i
), grants AS (
    SELECT n.name, 'granted' AS kind, a.* FROM named n, pg_catalog.aclexplode(n.acl) a
    UNION ALL
    -- pg_dump compares with these to find out what the user has granted.
    SELECT n.name, 'initially granted', a.*
    FROM named n JOIN pg_catalog.pg_init_privs i ON i.classoid = n.class AND i.objoid = n.oid AND i.objsubid = n.sub, pg_catalog.aclexplode(i.initprivs) a
), columns AS (
    SELECT a.attrelid, a.attname, pg_catalog.row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS place,
           pg_catalog.concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod), l.collname, CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                                'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, ''), 'storage ' || a.attstorage::text,
                                'DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)) AS definition
    FROM pg_catalog.pg_attribute a
    JOIN relations r ON r.oid = a.attrelid
    LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped
)
SELECT n.name || ' exists' AS line FROM named n
UNION ALL
SELECT pg_catalog.format('%s is owned by %s', n.name, pg_catalog.pg_get_userbyid(n.owner)) FROM named n WHERE n.owner IS NOT NULL
UNION ALL
SELECT pg_catalog.format('%s belongs to %s', n.name, e.extname)
FROM named n
JOIN pg_catalog.pg_depend d ON d.classid = n.class AND d.objid = n.oid AND d.objsubid = n.sub AND d.deptype = 'e'
JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
UNION ALL
SELECT pg_catalog.format('%s has the comment %s', n.name, d.description)
FROM named n JOIN pg_catalog.pg_description d ON d.classoid = n.class AND d.objoid = n.oid AND d.objsubid = n.sub
UNION ALL
SELECT pg_catalog.format('%s is %s to %s: %s, grantable %s', g.name, g.kind,
                         CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(g.grantee) END, g.privilege_type, g.is_grantable)
FROM grants g
UNION ALL
SELECT pg_catalog.format('extension %s: version %s, schema %s, relocatable %s, dumped %s', e.extname, e.extversion, e.extnamespace::pg_catalog.regnamespace,
                         e.extrelocatable, (SELECT pg_catalog.string_agg(pg_catalog.format('%s %s', c.oid::pg_catalog.regclass, c.condition), '; '
                                                                         ORDER BY c.oid::pg_catalog.regclass::text)
                                            FROM ROWS FROM (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) c (oid, condition)))
FROM pg_catalog.pg_extension e WHERE e.extname = 'audit_log'
UNION ALL
SELECT pg_catalog.format('relation %s: %s', r.oid::pg_catalog.regclass,
                         pg_catalog.concat_ws(' ', 'kind', r.relkind, 'persistence', r.relpersistence, 'method', m.amname, 'replica identity', r.relreplident,
                                              'row security', r.relrowsecurity, r.relforcerowsecurity, r.reloptions,
                                              pg_catalog.pg_get_partkeydef(r.oid), pg_catalog.pg_get_expr(r.relpartbound, r.oid),
                                              (SELECT 'in ' || i.inhparent::pg_catalog.regclass FROM pg_catalog.pg_inherits i WHERE i.inhrelid = r.oid)))
FROM relations r LEFT JOIN pg_catalog.pg_am m ON m.oid = r.relam
UNION ALL
SELECT pg_catalog.format('column %s of %s is %s %s', c.place, c.attrelid::pg_catalog.regclass, c.attname, c.definition) FROM columns c
UNION ALL
SELECT pg_catalog.format('sequence %s: %s', s.seqrelid::pg_catalog.regclass,
                         pg_catalog.concat_ws(' ', s.seqtypid::pg_catalog.regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle,
                                              (SELECT 'of ' || pg_catalog.pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) FROM pg_catalog.pg_depend d
                                               WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.seqrelid AND d.deptype IN ('a', 'i'))))
FROM pg_catalog.pg_sequence s JOIN relations r ON r.oid = s.seqrelid
UNION ALL
SELECT pg_catalog.format('view %s: %s', r.oid::pg_catalog.regclass, pg_catalog.pg_get_viewdef(r.oid)) FROM relations r WHERE r.relkind IN ('v', 'm')
UNION ALL
SELECT pg_catalog.format('index: %s, valid %s', pg_catalog.pg_get_indexdef(i.indexrelid), i.indisvalid)
FROM pg_catalog.pg_index i JOIN relations r ON r.oid = i.indexrelid
UNION ALL
SELECT pg_catalog.format('constraint %s of %s: %s, validated %s', c.conname, c.conrelid::pg_catalog.regclass, pg_catalog.pg_get_constraintdef(c.oid), c.convalidated)
FROM pg_catalog.pg_constraint c JOIN schemas s ON s.oid = c.connamespace
UNION ALL
SELECT pg_catalog.format('trigger: %s, enabled %s', pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled)
FROM pg_catalog.pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'function: ' || pg_catalog.pg_get_functiondef(p.oid) FROM pg_catalog.pg_proc p JOIN schemas s ON s.oid = p.pronamespace WHERE p.prokind IN ('f', 'p')
UNION ALL
SELECT pg_catalog.format('type %s: %s', t.oid::pg_catalog.regtype,
                         pg_catalog.concat_ws(' ', t.typtype, t.typbasetype::pg_catalog.regtype, t.typnotnull, t.typdefault,
                                              (SELECT pg_catalog.array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)))
FROM pg_catalog.pg_type t JOIN schemas s ON s.oid = t.typnamespace
UNION ALL
-- The rows that the extension brings.
SELECT 'category ' || c::text FROM audit.category c
UNION ALL
SELECT 'tag ' || t::text FROM audit.tag t
UNION ALL
SELECT 'action ' || a::text FROM audit.action a
UNION ALL
SELECT 'preset ' || p::text FROM audit.retention_preset p
ORDER BY 1
