-- Links that log in to the admin pages once, for the first login and for emergencies. The database never sees the secret of a link,
-- but only its hash.

CREATE TABLE audit.login_link (
    secret_sha256 bytea PRIMARY KEY CHECK (octet_length(secret_sha256) = 32),
    name text NOT NULL CHECK (name <> ''),
    workspace text,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
COMMENT ON TABLE audit.login_link IS 'Links that log in to the admin pages once. A dump leaves them out.';
COMMENT ON COLUMN audit.login_link.secret_sha256 IS 'SHA-256 of the secret, which only the link has';
COMMENT ON COLUMN audit.login_link.name IS 'Person that the link is for';
COMMENT ON COLUMN audit.login_link.workspace IS 'Workspace to which the session is limited, or NULL for all workspaces';
COMMENT ON COLUMN audit.login_link.created_at IS 'Time at which the link was created';
COMMENT ON COLUMN audit.login_link.created_by IS 'Actor that created the link';
COMMENT ON COLUMN audit.login_link.expires_at IS 'Time after which the link no longer works, five minutes after it was created';
COMMENT ON COLUMN audit.login_link.used_at IS 'Time at which the link was used, or NULL';

CREATE FUNCTION audit.create_login_link(secret_sha256 bytea, name text, workspace text DEFAULT NULL) RETURNS timestamptz
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    created_at constant timestamptz := clock_timestamp();
    expires_at constant timestamptz := created_at + interval '5 minutes';
BEGIN
    PERFORM audit_internal.check_name('workspace', workspace);
    DELETE FROM audit.login_link l WHERE l.expires_at < created_at - interval '1 day' AND NOT audit_internal.clock_has_jumped();
    INSERT INTO audit.login_link (secret_sha256, name, workspace, created_at, created_by, expires_at)
    VALUES (secret_sha256, name, workspace, created_at, audit_internal.who(), expires_at);
    PERFORM audit.append('login_link_created', workspace => coalesce(workspace, 'audit'), actor => audit_internal.who(),
                         details => jsonb_build_object('name', name, 'role', 'admin', 'workspace', workspace, 'expires_at', expires_at));
    RETURN expires_at;
END
$$;
COMMENT ON FUNCTION audit.create_login_link(bytea, text, text) IS
    'Stores the hash of a link that logs in once as an admin, records an event, and returns the time of its expiry, in five minutes. Forgets links that expired a day ago (SQLSTATE ZA003, 23505, 23514).';

CREATE FUNCTION audit.use_login_link(
    secret_sha256 bytea, token_id text, token_secret_sha256 bytea, OUT name text, OUT workspace text
) RETURNS SETOF record
    LANGUAGE plpgsql ROWS 1 SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE audit.login_link l SET used_at = clock_timestamp()
    WHERE l.secret_sha256 = use_login_link.secret_sha256 AND l.used_at IS NULL AND l.expires_at > clock_timestamp()
    RETURNING l.name, l.workspace INTO name, workspace;
    IF FOUND THEN
        PERFORM audit.create_api_token(token_id, token_secret_sha256, name, 'admin', workspace, clock_timestamp() + interval '12 hours');
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION audit.use_login_link(bytea, text, bytea) IS
    'Uses a link, and creates a token of role admin for its session, which expires in 12 hours. Returns who the link is for, or no row if it is unknown, expired or used (SQLSTATE 23505, 23514).';
