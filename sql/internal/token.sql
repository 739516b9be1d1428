-- Tokens and sessions of role admin: a database role gives nobody more than it has itself.

CREATE FUNCTION audit_internal.is_restricted() RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'audit_is_restricted';
COMMENT ON FUNCTION audit_internal.is_restricted() IS
    'Returns whether functions of an index or a materialized view run within a maintenance command, so that session_user is not their author';

CREATE FUNCTION audit_internal.may_manage() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- The caller of a SECURITY DEFINER function is not current_user. A role cannot change session_user, unless it is a superuser.
    -- Its functions can run within a command of another role.
    SELECT NOT audit_internal.is_restricted() AND has_function_privilege(session_user, 'audit.redact(bigint, text, text)', 'EXECUTE')
$$;
COMMENT ON FUNCTION audit_internal.may_manage() IS
    'Returns whether the role of the connection may do what an admin of the sidecar does: it is in the group audit_manager';

CREATE FUNCTION audit_internal.require_manager(what text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT audit_internal.may_manage() THEN
        RAISE EXCEPTION 'the role "%" may not create % of role admin, because it may not manage the audit log itself', session_user, what
            USING ERRCODE = '42501', HINT = format('GRANT audit_manager TO %I', session_user);
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.require_manager(text) IS
    'Refuses a token or a link of role admin, unless the role of the connection is in the group audit_manager (SQLSTATE 42501)';

CREATE FUNCTION audit_internal.store_api_token(
    id text, secret_sha256 bytea, name text, role text, workspace text, expires_at timestamptz, actor text, target text, parent_id text
) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO audit.api_token (id, secret_sha256, name, role, workspace, expires_at, actor, target, parent_id)
    VALUES (id, secret_sha256, name, role, workspace, expires_at, actor, target, parent_id);
    PERFORM audit.append('api_token_created', workspace => coalesce(workspace, 'audit'), target => 'token:' || id,
                         details => jsonb_build_object('name', name, 'role', role, 'workspace', workspace,
                                                       'expires_at', expires_at)
                                    || jsonb_strip_nulls(jsonb_build_object('actor', actor, 'target', target, 'parent_id', parent_id)));
END
$$;
COMMENT ON FUNCTION audit_internal.store_api_token(text, bytea, text, text, text, timestamptz, text, text, text) IS
    'Stores the hash of a new token and records an event';
