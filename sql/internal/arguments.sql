-- Arguments that several functions share.

CREATE FUNCTION audit_internal.who(otherwise text DEFAULT 'database:' || session_user) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(nullif(current_setting('audit.actor', true), ''), otherwise) $$;
COMMENT ON FUNCTION audit_internal.who(text) IS 'Who acts: audit.actor of the session, otherwise what is given, by default the role that is logged in';

CREATE FUNCTION audit_internal.check_workspace(workspace text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF workspace IS NULL OR workspace = '' OR octet_length(workspace) > 200 OR workspace ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'workspace "%" is not a name', coalesce(left(workspace, 100), 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'Names are printable text of 1 to 200 bytes.';
    END IF;
END
$$;
COMMENT ON FUNCTION audit_internal.check_workspace(text) IS 'Refuses what cannot be the name of a workspace (SQLSTATE ZA003)';
