-- Grants of workspaces to database roles. A role that reads through audit_workspace_reader, and not through audit_reader, is bound:
-- it sees the workspaces that are granted to it alone.

CREATE TABLE audit.workspace_grant (
    workspace text COLLATE "C" NOT NULL,
    role name NOT NULL,
    role_oid oid NOT NULL,
    granted_at timestamptz NOT NULL,
    granted_by text NOT NULL,
    PRIMARY KEY (workspace, role)
);
COMMENT ON TABLE audit.workspace_grant IS 'The workspaces that are granted to database roles. audit.grant_workspace and audit.revoke_workspace write this table.';
COMMENT ON COLUMN audit.workspace_grant.workspace IS 'Workspace that the role may read. It need not have events.';
COMMENT ON COLUMN audit.workspace_grant.role IS 'Name of the role';
COMMENT ON COLUMN audit.workspace_grant.role_oid IS 'OID of the role. The grant is in force while a role has both this name and this OID.';
COMMENT ON COLUMN audit.workspace_grant.granted_at IS 'Time of the grant';
COMMENT ON COLUMN audit.workspace_grant.granted_by IS 'Actor that granted the workspace';

SELECT pg_catalog.pg_extension_config_dump('audit.workspace_grant', '');

CREATE FUNCTION audit.grant_workspace(role text, workspace text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    grantee oid := (SELECT r.oid FROM pg_roles r WHERE r.rolname = role);
BEGIN
    PERFORM audit_internal.check_workspace(workspace);
    IF grantee IS NULL THEN
        RAISE EXCEPTION 'role "%" does not exist', coalesce(left(role, 100), 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'Create the role first.';
    END IF;
    IF audit_internal.reads_all(grantee) THEN
        RAISE EXCEPTION 'role "%" can read all workspaces, so a grant of one would not bind it', role
            USING ERRCODE = 'ZA003',
                  HINT = 'Revoke audit_reader from the role and grant it audit_workspace_reader. A superuser, and a member of pg_read_all_data, cannot be bound.';
    END IF;
    INSERT INTO audit.workspace_grant AS g (workspace, role, role_oid, granted_at, granted_by)
    VALUES (workspace, role, grantee, clock_timestamp(), audit_internal.who())
    ON CONFLICT ON CONSTRAINT workspace_grant_pkey DO UPDATE
    SET role_oid = excluded.role_oid, granted_at = excluded.granted_at, granted_by = excluded.granted_by
    WHERE g.role_oid <> excluded.role_oid;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit.append('workspace_granted', workspace => workspace, actor => audit_internal.who(),
                         targets => ARRAY['workspace:' || workspace, 'role:' || role], details => jsonb_build_object('role', role));
    RETURN true;
END
$$;
COMMENT ON FUNCTION audit.grant_workspace(text, text) IS
    'Grants a workspace to a database role, and records an event. A member of audit_workspace_reader then reads that workspace. Returns false if the grant is already in force (SQLSTATE ZA003).';

CREATE FUNCTION audit.revoke_workspace(role text, workspace text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM audit_internal.check_workspace(workspace);
    DELETE FROM audit.workspace_grant g WHERE g.workspace = workspace AND g.role = role;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit.append('workspace_revoked', workspace => workspace, actor => audit_internal.who(),
                         targets => ARRAY['workspace:' || workspace, 'role:' || role], details => jsonb_build_object('role', role));
    RETURN true;
END
$$;
COMMENT ON FUNCTION audit.revoke_workspace(text, text) IS
    'Revokes a workspace from a database role, and records an event. Returns false if there is no such grant (SQLSTATE ZA003).';

CREATE FUNCTION audit.granted_workspaces(bound_caller oid) RETURNS TABLE (workspace text, role text, granted_at timestamptz, granted_by text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    SELECT g.workspace, g.role::text, g.granted_at, g.granted_by
    FROM audit.workspace_grant g
    WHERE audit_internal.is_in_force(g.role, g.role_oid) AND (bound_caller IS NULL OR pg_has_role(bound_caller, g.role_oid, 'USAGE'))
    ORDER BY 1, 2
$$;
COMMENT ON FUNCTION audit.granted_workspaces(oid) IS
    'Returns the grants of workspaces that are in force: to a bound role those that it has, itself or by membership, to other readers all';
