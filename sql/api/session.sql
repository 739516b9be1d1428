-- Sessions of the admin pages. The database never sees the id of a session, but only its hash. A session ends with its token.

CREATE TABLE audit.session (
    id_sha256 bytea PRIMARY KEY CHECK (octet_length(id_sha256) = 32),
    token_id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    workspace text,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    ip inet,
    user_agent text,
    may_manage boolean NOT NULL
);
COMMENT ON TABLE audit.session IS 'Sessions of the admin pages. A dump leaves them out.';
COMMENT ON COLUMN audit.session.id_sha256 IS 'SHA-256 of the id, which only the browser has';
COMMENT ON COLUMN audit.session.token_id IS 'Token that the session was started with. The session ends when the token is revoked or expires.';
COMMENT ON COLUMN audit.session.name IS 'Name of the person who logged in: that of the token';
COMMENT ON COLUMN audit.session.role IS 'Role of the session: that of the token';
COMMENT ON COLUMN audit.session.workspace IS 'Workspace to which the session is limited, or NULL for all workspaces';
COMMENT ON COLUMN audit.session.created_at IS 'Time of the login';
COMMENT ON COLUMN audit.session.last_used_at IS 'Time of the last request, up to a minute early. The session ends 30 minutes later.';
COMMENT ON COLUMN audit.session.expires_at IS 'Time at which the session ends at the latest, 12 hours after the login';
COMMENT ON COLUMN audit.session.ended_at IS 'Time at which the session was ended before its time, or NULL';
COMMENT ON COLUMN audit.session.ip IS 'Address from which the person logged in, or NULL if it is unknown';
COMMENT ON COLUMN audit.session.user_agent IS 'User agent of the browser at the login, or NULL if it sent none';

COMMENT ON COLUMN audit.session.may_manage IS 'Whether the database role that started the session is in the group audit_manager. Otherwise, a session of role admin is not valid for the roles of that group.';

CREATE INDEX session_expires ON audit.session (expires_at);
COMMENT ON INDEX audit.session_expires IS 'Finds the sessions to forget';

CREATE FUNCTION audit.start_session(
    id_sha256 bytea, token_id text, ip inet DEFAULT NULL, user_agent text DEFAULT NULL
) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM audit.session s WHERE s.expires_at < clock_timestamp() - interval '1 day' AND NOT audit_internal.clock_has_jumped();
    INSERT INTO audit.session (id_sha256, token_id, name, role, workspace, created_at, last_used_at, expires_at, ip, user_agent,
                               may_manage)
    SELECT id_sha256, t.id, t.name, t.role, t.workspace, clock_timestamp(), clock_timestamp(), clock_timestamp() + interval '12 hours',
           ip, user_agent, audit_internal.may_manage()
    FROM audit.api_token t
    WHERE t.id = token_id AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp());
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION audit.start_session(bytea, text, inet, text) IS
    'Stores a new session of a token. Returns false if the token is unknown, expired or revoked. Forgets sessions that expired a day ago.';

CREATE FUNCTION audit.use_session(
    id_sha256 bytea, OUT token_id text, OUT name text, OUT role text, OUT workspace text, OUT actor text, OUT target text,
    OUT parent_id text
) RETURNS SETOF record
    LANGUAGE plpgsql ROWS 1 SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A page must not wait for the disk, so a use is noted once a minute.
    UPDATE audit.session s SET last_used_at = clock_timestamp()
    WHERE s.id_sha256 = use_session.id_sha256 AND s.ended_at IS NULL
          AND s.last_used_at > clock_timestamp() - interval '30 minutes' AND s.last_used_at < clock_timestamp() - interval '1 minute';
    RETURN QUERY
    SELECT s.token_id, s.name, s.role, s.workspace, t.actor, t.target, t.parent_id
    FROM audit.session s JOIN audit.api_token t ON t.id = s.token_id
    WHERE s.id_sha256 = use_session.id_sha256 AND s.ended_at IS NULL AND s.expires_at > clock_timestamp()
          AND s.last_used_at > clock_timestamp() - interval '30 minutes'
          -- A session that was started while the clock was ahead must not last until then.
          AND s.created_at < clock_timestamp() + interval '1 hour'
          AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
          -- A role can start a session of any token. It must not become an admin in a sidecar that may do more than itself.
          AND (t.role <> 'admin' OR s.may_manage OR NOT audit_internal.may_manage());
END
$$;
COMMENT ON FUNCTION audit.use_session(bytea) IS
    'Returns who a session belongs to, and notes once a minute that it was used. Returns no row if it has ended or was idle for 30 minutes, if its token is expired or revoked, or if the caller may manage the audit log, and the role that started the session of an admin may not.';

CREATE FUNCTION audit.end_session(id_sha256 bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE audit.session s SET ended_at = clock_timestamp()
    WHERE s.id_sha256 = end_session.id_sha256 AND s.ended_at IS NULL;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION audit.end_session(bytea) IS 'Ends a session. Returns false if there is no such session or it has ended already.';

CREATE FUNCTION audit.end_sessions(token_id text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ended bigint;
BEGIN
    UPDATE audit.session s SET ended_at = clock_timestamp()
    WHERE s.token_id = end_sessions.token_id AND s.ended_at IS NULL AND s.expires_at > clock_timestamp();
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;
COMMENT ON FUNCTION audit.end_sessions(text) IS 'Ends all sessions of a token, and returns their number';
