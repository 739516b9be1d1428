-- The public functions as their pages in docs/sql show them; those of one name share a page.
WITH functions AS (
    SELECT p.*, pg_catalog.string_agg(
                    pg_catalog.concat_ws(' ', '    ' || p.proargnames[a.place], pg_catalog.format_type(a.type, NULL),
                                         'DEFAULT ' || pg_catalog.pg_get_function_arg_default(p.oid, a.place::integer)),
                    E',\n' ORDER BY a.place) FILTER (WHERE coalesce(p.proargmodes[a.place] IN ('i', 'b'), true)) AS given,
           pg_catalog.string_agg(
                    '    ' || p.proargnames[a.place] || ' ' || pg_catalog.format_type(a.type, NULL),
                    E',\n' ORDER BY a.place) FILTER (WHERE p.proargmodes[a.place] IN ('o', 'b', 't')) AS returned,
           coalesce(pg_catalog.array_agg(p.proargnames[a.place] ORDER BY a.place)
                        FILTER (WHERE coalesce(p.proargmodes[a.place] IN ('i', 'b'), true) AND a.place IS NOT NULL), '{}') AS names
    FROM pg_catalog.pg_proc p
    LEFT JOIN LATERAL pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY a (type, place) ON true
    WHERE p.pronamespace = 'audit'::pg_catalog.regnamespace
    GROUP BY p.oid
), pages AS (
    SELECT f.proname,
           pg_catalog.string_agg(
               pg_catalog.concat('audit.', f.proname, '(', E'\n' || f.given || E'\n', ') RETURNS ',
                                 CASE WHEN f.returned IS NOT NULL THEN CASE WHEN f.proretset THEN 'TABLE (' ELSE '(' END || E'\n' || f.returned || E'\n)'
                                      ELSE CASE WHEN f.proretset THEN 'SETOF ' ELSE '' END || pg_catalog.format_type(f.prorettype, NULL) END),
               E'\n\n' ORDER BY f.pronargs) AS signature,
           (SELECT pg_catalog.array_agg(DISTINCT n.name) FROM functions o, pg_catalog.unnest(o.names) n (name) WHERE o.proname = f.proname) AS arguments,
           (SELECT pg_catalog.array_agg(r.name ORDER BY r.place)
            FROM pg_catalog.unnest(ARRAY['audit_writer', 'audit_reader', 'audit_workspace_reader', 'audit_admin', 'audit_server', 'audit_signer', 'audit_manager', 'audit_sidecar']) WITH ORDINALITY r (name, place)
            WHERE NOT EXISTS (SELECT FROM functions o
                              WHERE o.proname = f.proname AND NOT pg_catalog.has_function_privilege(r.name, o.oid, 'EXECUTE'))) AS callers
    FROM functions f
    GROUP BY f.proname
)
SELECT pg_catalog.jsonb_build_object(
           'page', p.proname,
           'signature', pg_catalog.replace(pg_catalog.regexp_replace(p.signature, 'NULL::[a-z ]+(\[\])?', 'NULL', 'g'), 'timestamp with time zone', 'timestamptz'),
           'arguments', pg_catalog.to_jsonb(coalesce(p.arguments, '{}')),
           'callers', pg_catalog.to_jsonb(coalesce(p.callers, '{}')))
FROM pages p ORDER BY p.proname
