-- What finds events by target. One index serves all workspaces: with the workspace in its keys, a target that each of them
-- has (a setting, a role) leads to the events of one, and the planner knows how many these are.

CREATE FUNCTION audit_internal.target_keys(workspace text, targets text[]) RETURNS bigint[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_target_keys';
COMMENT ON FUNCTION audit_internal.target_keys(text, text[]) IS
    'A number for each target, drawn from workspace and target, for the index; different ones may share a number';

CREATE FUNCTION audit_internal.has_target_support(internal) RETURNS internal
    LANGUAGE c STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_has_target_support';
COMMENT ON FUNCTION audit_internal.has_target_support(internal) IS
    'Tells the planner which index serves audit_internal.has_target, and how many events it finds';

CREATE FUNCTION audit_internal.has_target(keys bigint[], workspace text, targets text[], in_workspace text, target text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    SUPPORT audit_internal.has_target_support
    AS 'MODULE_PATHNAME', 'audit_has_target';
COMMENT ON FUNCTION audit_internal.has_target(bigint[], text, text[], text, text) IS
    'Whether workspace is in_workspace and target is among the targets; keys is audit_internal.target_keys(workspace, targets), by which an index finds them';
