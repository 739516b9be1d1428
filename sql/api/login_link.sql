-- Links that log in to the admin pages once: for the first login and for emergencies, and viewer links of host applications. The
-- database never sees the secret of a link, but only its hash.

CREATE TABLE audit.login_link (
    secret_sha256 bytea PRIMARY KEY CHECK (octet_length(secret_sha256) = 32),
    name text NOT NULL CHECK (name <> ''),
    role text NOT NULL,
    workspace text,
    actor text,
    target text,
    parent_id text,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT login_link_viewer CHECK (
        parent_id IS NULL AND role = 'admin' AND target IS NULL
        OR parent_id IS NOT NULL AND role IN ('viewer', 'auditor') AND workspace IS NOT NULL AND actor IS NOT NULL)
);
COMMENT ON TABLE audit.login_link IS 'Links that log in to the admin pages once. A dump leaves them out.';
COMMENT ON COLUMN audit.login_link.secret_sha256 IS 'SHA-256 of the secret, which only the link has';
COMMENT ON COLUMN audit.login_link.name IS 'Person that the link is for';
COMMENT ON COLUMN audit.login_link.workspace IS 'Workspace to which the session is limited, or NULL for all workspaces';
COMMENT ON COLUMN audit.login_link.role IS 'Role of the session: admin, or viewer or auditor for a viewer link';
COMMENT ON COLUMN audit.login_link.actor IS 'Actor of the events that the session causes, or NULL for its token';
COMMENT ON COLUMN audit.login_link.target IS 'Target to whose events the session is limited, or NULL';
COMMENT ON COLUMN audit.login_link.parent_id IS 'Token of the host application that created a viewer link, or NULL for other links. The link stops working when the token is revoked or expires.';
COMMENT ON COLUMN audit.login_link.created_at IS 'Time at which the link was created';
COMMENT ON COLUMN audit.login_link.created_by IS 'Actor that created the link';
COMMENT ON COLUMN audit.login_link.expires_at IS 'Time after which the link no longer works, five minutes after it was created';
COMMENT ON COLUMN audit.login_link.used_at IS 'Time at which the link was used, or NULL';

CREATE FUNCTION audit.create_login_link(
    secret_sha256 bytea, name text, workspace text DEFAULT NULL, role text DEFAULT 'admin', actor text DEFAULT NULL,
    target text DEFAULT NULL, parent_id text DEFAULT NULL
) RETURNS timestamptz
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    created_at constant timestamptz := clock_timestamp();
    expires_at constant timestamptz := created_at + interval '5 minutes';
BEGIN
    PERFORM audit_internal.check_name('workspace', workspace), audit_internal.check_name('actor', actor),
            audit_internal.check_name('target', target);
    IF actor ~ '^(token|cli|system|database):' THEN
        RAISE EXCEPTION 'the actor "%" of a link begins with a word that stands for the audit log itself', actor
            USING ERRCODE = 'ZA003', HINT = 'Name the person, for example user:ada.';
    END IF;
    IF role = 'admin' THEN
        PERFORM audit_internal.require_manager('a link');
    END IF;
    DELETE FROM audit.login_link l WHERE l.expires_at < created_at - interval '1 day' AND NOT audit_internal.clock_has_jumped();
    INSERT INTO audit.login_link (secret_sha256, name, role, workspace, actor, target, parent_id, created_at, created_by, expires_at)
    VALUES (secret_sha256, name, role, workspace, actor, target, parent_id, created_at, audit_internal.who(), expires_at);
    PERFORM audit.append('login_link_created', workspace => coalesce(workspace, 'audit'), actor => audit_internal.who(),
                         details => jsonb_build_object('name', name, 'role', role, 'workspace', workspace, 'expires_at', expires_at)
                                    || jsonb_strip_nulls(jsonb_build_object('actor', actor, 'target', target)));
    RETURN expires_at;
END
$$;
COMMENT ON FUNCTION audit.create_login_link(bytea, text, text, text, text, text, text) IS
    'Stores the hash of a link that logs in once, records an event, and returns the time of its expiry, in five minutes. Without a parent, the link is for an admin. With the token of a host application as its parent, it is for a viewer or auditor of one workspace. Forgets links that expired a day ago (SQLSTATE ZA003, 23505, 23514, and 42501 for a link of an admin if the caller is not in the group audit_manager).';

CREATE FUNCTION audit.use_login_link(
    secret_sha256 bytea, token_id text, token_secret_sha256 bytea, OUT name text, OUT workspace text, OUT role text, OUT actor text,
    OUT target text
) RETURNS SETOF record
    LANGUAGE plpgsql ROWS 1 SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    link audit.login_link;
    parent audit.api_token;
BEGIN
    UPDATE audit.login_link l SET used_at = clock_timestamp()
    WHERE l.secret_sha256 = use_login_link.secret_sha256 AND l.used_at IS NULL AND l.expires_at > clock_timestamp()
    RETURNING l.* INTO link;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF link.parent_id IS NOT NULL THEN
        -- The lock makes a revocation wait, so that it finds the new token.
        SELECT t.* INTO parent FROM audit.api_token t
        WHERE t.id = link.parent_id AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
        FOR SHARE;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    PERFORM audit_internal.store_api_token(token_id, token_secret_sha256, link.name, link.role, link.workspace,
                                           least(clock_timestamp() + interval '12 hours', parent.expires_at),
                                           link.actor, link.target, link.parent_id);
    name := link.name;
    workspace := link.workspace;
    role := link.role;
    actor := link.actor;
    target := link.target;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION audit.use_login_link(bytea, text, bytea) IS
    'Uses a link, and creates a token with the role of the link for its session, which expires in 12 hours or with the token that created the link. Returns who the link is for, or no row if it is unknown, expired or used, or if the token that created it has ended (SQLSTATE 23505, 23514).';
