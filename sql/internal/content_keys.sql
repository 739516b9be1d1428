-- Content keys find events by target, request, session and address. One index serves all workspaces, because the workspace is
-- part of each key. A target that every workspace has (a setting, a role) leads only to the events of one workspace. The planner
-- also knows how many these are.

CREATE FUNCTION audit_internal.content_keys(workspace text, targets text[], request_id text, session_id text, ip inet) RETURNS bigint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_content_keys';
COMMENT ON FUNCTION audit_internal.content_keys(text, text[], text, text, inet) IS
    'Returns the keys of an event for the index. There is a number for each target, the request, the session, the address, and the networks around it. Different values can share a number.';

CREATE FUNCTION audit_internal.wanted_keys(workspace text, field text, "values" text[]) RETURNS bigint[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_wanted_keys';
COMMENT ON FUNCTION audit_internal.wanted_keys(text, text, text[]) IS
    'Returns keys for values of a field (target, request_id, session_id or ip). An event with one of the values has at least one of the keys. Returns NULL if a network is too large for keys.';

CREATE FUNCTION audit_internal.networks("values" text[]) RETURNS text[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_networks';
COMMENT ON FUNCTION audit_internal.networks(text[]) IS
    'Converts addresses and CIDR ranges to networks. The IPv4-mapped network of IPv6 follows each IPv4 network (SQLSTATE ZA003).';

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
    'Returns whether workspace is in_workspace and matches is true. keys are those of the event. An index finds the events that have one of the wanted keys, as every matching event must have.';

-- The index has an operator class of its own. It differs from that of PostgreSQL only in the estimate of the operator. The
-- estimate of PostgreSQL adds up the shares of keys that no event has, so the planner would not use the index.
CREATE FUNCTION audit_internal.key_share(internal, oid, internal, integer) RETURNS double precision
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'audit_key_share';
COMMENT ON FUNCTION audit_internal.key_share(internal, oid, internal, integer) IS
    'Tells the planner how many events have one of the wanted keys';

CREATE FUNCTION audit_internal.has_key(keys bigint[], wanted bigint[]) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
    AS 'arrayoverlap';
COMMENT ON FUNCTION audit_internal.has_key(bigint[], bigint[]) IS 'Returns whether an event with these keys has one of the wanted keys';

CREATE OPERATOR audit_internal.&& (
    FUNCTION = audit_internal.has_key, LEFTARG = bigint[], RIGHTARG = bigint[], RESTRICT = audit_internal.key_share);
COMMENT ON OPERATOR audit_internal.&& (bigint[], bigint[]) IS 'has one of the keys';

CREATE OPERATOR CLASS audit_internal.key_ops FOR TYPE bigint[] USING gin AS
    OPERATOR 1 audit_internal.&&,
    FUNCTION 1 pg_catalog.btint8cmp(bigint, bigint),
    FUNCTION 2 pg_catalog.ginarrayextract(anyarray, internal, internal),
    FUNCTION 3 pg_catalog.ginqueryarrayextract(anyarray, internal, smallint, internal, internal, internal, internal),
    FUNCTION 4 pg_catalog.ginarrayconsistent(internal, smallint, anyarray, integer, internal, internal, internal, internal),
    FUNCTION 6 pg_catalog.ginarraytriconsistent(internal, smallint, anyarray, integer, internal, internal, internal),
    STORAGE bigint;
COMMENT ON OPERATOR CLASS audit_internal.key_ops USING gin IS 'Finds events by their keys';
