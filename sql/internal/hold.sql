-- The extent of legal holds, and checks of their arguments.

CREATE FUNCTION audit_internal.held_condition(workspace text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN bool_or(h.target IS NULL AND h.actor IS NULL) THEN 'true'
           ELSE '(' || string_agg(concat_ws(' AND ', 'e.actor = ' || quote_literal(h.actor), quote_literal(h.target) || ' = ANY (e.targets)'), ' OR ') || ')' END
    FROM (SELECT h.target, h.actor FROM audit.legal_hold h
          WHERE h.workspace = held_condition.workspace AND h.released_at IS NULL) h
$$;
COMMENT ON FUNCTION audit_internal.held_condition(text) IS
    'Returns a condition over audit.event AS e that matches the events under active legal holds of a workspace. Returns NULL if there are none.';

CREATE FUNCTION audit_internal.check_legal_hold(workspace text, reason text, target text, actor text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM audit_internal.check_workspace(workspace);
    IF reason IS NULL OR reason !~ '[^[:space:]]' OR length(reason) > 4000 THEN
        RAISE EXCEPTION 'a legal hold needs a reason of 1 to 4000 characters' USING ERRCODE = 'ZA003';
    END IF;
    PERFORM audit_internal.check_name('target', target), audit_internal.check_name('actor', actor);
END
$$;
COMMENT ON FUNCTION audit_internal.check_legal_hold(text, text, text, text) IS 'Refuses invalid arguments of a legal hold (SQLSTATE ZA003)';

CREATE FUNCTION audit_internal.lock_settings() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Every change of a retention or a legal hold takes this lock first, and audit_internal.keep_settings_still takes the two
    -- tables in the same order. If each took its own table first, they could wait for each other.
    LOCK TABLE audit.workspace IN SHARE ROW EXCLUSIVE MODE;
END
$$;
COMMENT ON FUNCTION audit_internal.lock_settings() IS
    'Lets one session at a time change retentions and legal holds, and none during a run of maintenance, which judges events by them';
