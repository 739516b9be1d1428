-- Content keys find events by target, request, session and address. One index serves all workspaces: the workspace is part of
-- each key, so that a target that every workspace has (a setting, a role) leads to the events of one, and the planner knows
-- how many these are.

CREATE FUNCTION audit_internal.content_keys(workspace text, targets text[], request_id text, session_id text, ip inet) RETURNS bigint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_content_keys';
COMMENT ON FUNCTION audit_internal.content_keys(text, text[], text, text, inet) IS
    'The keys of an event for the index: a number for each target, for the request, for the session, and for the address and the networks around it; different values may share a number';

CREATE FUNCTION audit_internal.wanted_keys(workspace text, field text, "values" text[]) RETURNS bigint[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_wanted_keys';
COMMENT ON FUNCTION audit_internal.wanted_keys(text, text, text[]) IS
    'The keys of which an event has at least one if the field (target, request_id, session_id or ip) has one of the values; NULL if a network is too large for keys';

CREATE FUNCTION audit_internal.networks("values" text[]) RETURNS text[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_networks';
COMMENT ON FUNCTION audit_internal.networks(text[]) IS
    'Addresses and CIDR ranges as networks; an IPv4 network is followed by the IPv4-mapped network of IPv6 (SQLSTATE ZA003)';

CREATE FUNCTION audit_internal.found_by_keys_support(internal) RETURNS internal
    LANGUAGE c STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_found_by_keys_support';
COMMENT ON FUNCTION audit_internal.found_by_keys_support(internal) IS
    'Tells the planner which index serves audit_internal.found_by_keys, and how many events it finds';

CREATE FUNCTION audit_internal.found_by_keys(keys bigint[], workspace text, in_workspace text, wanted bigint[], matches boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    SUPPORT audit_internal.found_by_keys_support
    AS 'MODULE_PATHNAME', 'audit_found_by_keys';
COMMENT ON FUNCTION audit_internal.found_by_keys(bigint[], text, text, bigint[], boolean) IS
    'Whether workspace is in_workspace and matches is true; keys are those of the event, and an index finds by them what has one of wanted, as every event that matches must';
