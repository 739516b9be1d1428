-- Bearer tokens of the sidecar. The database never sees a token, but only the hash of its secret part.

CREATE TABLE audit.api_token (
    id text PRIMARY KEY,
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'auditor', 'writer', 'embedder', 'admin')),
    workspace text,
    actor text,
    target text,
    parent_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    CONSTRAINT api_token_viewer CHECK (
        parent_id IS NULL AND target IS NULL
        OR parent_id IS NOT NULL AND role IN ('viewer', 'auditor') AND workspace IS NOT NULL AND actor IS NOT NULL)
);
COMMENT ON TABLE audit.api_token IS 'Bearer tokens of the sidecar';
COMMENT ON COLUMN audit.api_token.id IS 'Public part of the token. Events that the token causes have the actor token:<id>, unless the column actor names another.';
COMMENT ON COLUMN audit.api_token.secret_sha256 IS 'SHA-256 of the secret part';
COMMENT ON COLUMN audit.api_token.name IS 'Purpose or holder of the token';
COMMENT ON COLUMN audit.api_token.role IS 'Role of the token: a viewer queries, an auditor also exports, a writer appends, an embedder creates viewer links, an admin does all';
COMMENT ON COLUMN audit.api_token.workspace IS 'Workspace to which the token is limited, or NULL for all workspaces';
COMMENT ON COLUMN audit.api_token.actor IS 'Actor of the events that the session of the token causes, or NULL for token:<id>';
COMMENT ON COLUMN audit.api_token.target IS 'Target to whose events the session of a viewer link is limited, or NULL';
COMMENT ON COLUMN audit.api_token.parent_id IS 'Token that created the viewer link whose session the token belongs to, or NULL for other tokens';
COMMENT ON COLUMN audit.api_token.created_at IS 'Time at which the token was created';
COMMENT ON COLUMN audit.api_token.expires_at IS 'Time at which the token expires, or NULL';
COMMENT ON COLUMN audit.api_token.revoked_at IS 'Time at which the token was revoked, or NULL';
COMMENT ON COLUMN audit.api_token.last_used_at IS 'Time of the last use, up to a minute early, or NULL if the token was never used. A session counts as one use, at its login.';

SELECT pg_catalog.pg_extension_config_dump('audit.api_token', '');

CREATE FUNCTION audit.create_api_token(
    id text, secret_sha256 bytea, name text, role text, workspace text DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
    actor text DEFAULT NULL, target text DEFAULT NULL, parent_id text DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM audit_internal.check_name('workspace', workspace), audit_internal.check_name('actor', actor),
            audit_internal.check_name('target', target);
    IF expires_at <= now() THEN
        RAISE EXCEPTION 'expires_at % is in the past', expires_at USING ERRCODE = 'ZA003';
    END IF;
    IF role = 'admin' THEN
        PERFORM audit_internal.require_manager('a token');
    END IF;
    PERFORM audit_internal.store_api_token(id, secret_sha256, name, role, workspace, expires_at, actor, target, parent_id);
END
$$;
COMMENT ON FUNCTION audit.create_api_token(text, bytea, text, text, text, timestamptz, text, text, text) IS
    'Stores the hash of a new token and records an event (SQLSTATE ZA003, 23505 if the id is taken, 23514 for an unknown role, or for a parent without a workspace, an actor, or the role viewer or auditor, 42501 for the role admin if the caller is not in the group audit_manager)';

CREATE FUNCTION audit.revoke_api_token(id text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    token audit.api_token;
BEGIN
    UPDATE audit.api_token t SET revoked_at = now()
    WHERE t.id = revoke_api_token.id AND t.revoked_at IS NULL
    RETURNING * INTO token;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE audit.api_token t SET revoked_at = now() WHERE t.parent_id = token.id AND t.revoked_at IS NULL;
    PERFORM audit.append('api_token_revoked', workspace => coalesce(token.workspace, 'audit'), target => 'token:' || token.id,
                         details => jsonb_build_object('name', token.name, 'role', token.role));
    RETURN true;
END
$$;
COMMENT ON FUNCTION audit.revoke_api_token(text) IS
    'Revokes a token at once, and with it the sessions of its viewer links, and records an event. Returns false if there is no such token or it is already revoked.';

CREATE FUNCTION audit.note_token_use(id text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE audit.api_token t SET last_used_at = clock_timestamp()
    WHERE t.id = note_token_use.id AND (t.last_used_at IS NULL OR t.last_used_at < clock_timestamp() - interval '1 minute')
$$;
COMMENT ON FUNCTION audit.note_token_use(text) IS 'Notes that a token is in use, at most once a minute';
