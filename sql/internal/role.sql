-- The roles whose names the library knows. audit.append looks them up to decide who may append reserved actions.

CREATE FUNCTION audit_internal.describe_roles(OUT ok boolean, OUT value text, OUT hint text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH missing AS (
        SELECT string_agg(n.name, ', ' ORDER BY n.name) AS names
        FROM (VALUES ('audit_admin'), ('audit_server'), ('audit_signer')) n (name)
        WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = n.name)
    ), others AS (
        -- A renamed role keeps its grants.
        SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) AS names
        FROM pg_namespace n, aclexplode(n.nspacl) a JOIN pg_roles r ON r.oid = a.grantee
        WHERE n.nspname = 'audit' AND a.grantee <> n.nspowner AND a.privilege_type = 'USAGE'
          AND r.rolname NOT IN ('audit_writer', 'audit_reader', 'audit_workspace_reader', 'audit_admin', 'audit_server', 'audit_signer', 'audit_manager', 'audit_sidecar')
    )
    SELECT m.names IS NULL,
           CASE WHEN m.names IS NULL THEN 'have their names'
                ELSE format('no role is named %s; %s', m.names,
                            coalesce('other roles with privileges on schema audit: ' || o.names, 'no other role has privileges on schema audit')) END,
           'Give the renamed role its name back with ALTER ROLE new_name RENAME TO old_name. Until then, its members cannot record queries and exports.'
    FROM missing m, others o
$$;
COMMENT ON FUNCTION audit_internal.describe_roles() IS
    'Returns the health check of the roles. It fails if audit_admin, audit_server or audit_signer was renamed, because audit.append knows them by name.';
