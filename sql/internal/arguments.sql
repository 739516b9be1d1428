-- Checks and defaults of arguments that several functions share.

CREATE FUNCTION audit_internal.who(otherwise text DEFAULT 'database:' || session_user) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(nullif(current_setting('audit.actor', true), ''), otherwise) $$;
COMMENT ON FUNCTION audit_internal.who(text) IS 'Returns the actor of the present call: audit.actor of the session, or else the given text. Its default is the role that is logged in.';

CREATE FUNCTION audit_internal.check_name(what text, value text) RETURNS void
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_check_name';
COMMENT ON FUNCTION audit_internal.check_name(text, text) IS
    'Refuses a text that audit.append refuses as a name of this kind: action, workspace, actor or target. NULL passes (SQLSTATE ZA003).';

CREATE FUNCTION audit_internal.check_workspace(workspace text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF workspace IS NULL THEN
        RAISE EXCEPTION 'workspace is missing' USING ERRCODE = 'ZA003', HINT = 'Pass the name of a workspace.';
    END IF;
    PERFORM audit_internal.check_name('workspace', workspace);
END
$$;
COMMENT ON FUNCTION audit_internal.check_workspace(text) IS 'Refuses a text that cannot be the name of a workspace, and NULL (SQLSTATE ZA003)';
