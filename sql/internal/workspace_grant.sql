-- The extent of grants of workspaces. Whether a role is bound follows from the privileges of PostgreSQL itself.

CREATE FUNCTION audit_internal.reads_all(role oid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT has_table_privilege(role, 'audit.event', 'SELECT') $$;
COMMENT ON FUNCTION audit_internal.reads_all(oid) IS
    'Returns whether a role can read the table of events, and thus all workspaces. Any other role is bound.';

CREATE FUNCTION audit_internal.is_in_force(role name, role_oid oid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT EXISTS (SELECT FROM pg_roles r WHERE r.oid = is_in_force.role_oid AND r.rolname = is_in_force.role) $$;
COMMENT ON FUNCTION audit_internal.is_in_force(name, oid) IS
    'Returns whether a grant of a workspace counts. It does not if its role was dropped or renamed, or is that of another cluster, from which the audit log was restored.';

CREATE FUNCTION audit_internal.is_granted(caller oid, workspace text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_is_granted';
COMMENT ON FUNCTION audit_internal.is_granted(oid, text) IS
    'Returns whether a workspace is granted to a role, or to one whose privileges the role has. A grant counts while its role has the name and the OID of the grant.';

CREATE FUNCTION audit_internal.may_read(bound_caller oid, workspace text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT bound_caller IS NULL OR audit_internal.is_granted(bound_caller, workspace) $$;
COMMENT ON FUNCTION audit_internal.may_read(oid, text) IS
    'Returns whether the caller of a public function may read a workspace. The caller is NULL if it can read all workspaces.';

CREATE FUNCTION audit_internal.describe_grants(OUT ok boolean, OUT value text, OUT hint text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH grants AS (
        SELECT g.role, audit_internal.is_in_force(g.role, g.role_oid) AS counts, coalesce(audit_internal.reads_all(g.role_oid), false) AS is_unbound
        FROM audit.workspace_grant g
    )
    SELECT count(*) FILTER (WHERE NOT g.counts OR g.is_unbound) = 0,
           concat_ws('; ', count(*) FILTER (WHERE g.counts) || ' in force',
                     'no role has the name and OID of ' || left(string_agg(DISTINCT quote_ident(g.role), ', ') FILTER (WHERE NOT g.counts), 500),
                     'not bound, because it can read all workspaces: ' || left(string_agg(DISTINCT quote_ident(g.role), ', ') FILTER (WHERE g.counts AND g.is_unbound), 500)),
           'Call audit.revoke_workspace for a role that was dropped or renamed, or audit.grant_workspace to grant again. Revoke audit_reader from a role that is to be bound.'
    FROM grants g
$$;
COMMENT ON FUNCTION audit_internal.describe_grants() IS
    'Returns the health check of the grants of workspaces. It fails if a grant is not in force, or if its role can read all workspaces.';
