-- What finds events by target. One index serves all workspaces: with the workspace in its keys, a target that each of them
-- has (a setting, a role) leads to the events of one, and the planner knows how many these are.

CREATE FUNCTION audit.target_keys(workspace text, targets text[]) RETURNS bigint[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_target_keys';
COMMENT ON FUNCTION audit.target_keys(text, text[]) IS
    'A number for each target, drawn from workspace and target, for the index; different ones may share a number';
