-- The gates of the query functions. A function that is named here moves to audit_internal, and a gate takes its place: a function of
-- the library with the same name, arguments and result (extension/src/gate.rs). A bound caller passes only with a workspace that is
-- granted to it. If the last argument of the function is bound_caller, the gate has no such argument, and passes the role of a bound
-- caller in it. This file runs after all functions are created, and before their rights are granted.

DO $gate$
DECLARE
    inner_function record;
    gate text;
BEGIN
    FOR inner_function IN
        SELECT p.oid, p.oid::pg_catalog.regprocedure AS name, p.proname, coalesce(p.proargnames[1] = 'workspace', false) AS has_workspace, p.proretset, p.prorows, p.procost, p.provolatile,
               p.proparallel, p.proisstrict, p.prosecdef, pg_catalog.regexp_replace(pg_catalog.pg_get_function_arguments(p.oid), '(, )?bound_caller oid( DEFAULT NULL::oid)?', '') AS arguments,
               pg_catalog.regexp_replace(pg_catalog.pg_get_function_identity_arguments(p.oid), '(, )?bound_caller oid', '') AS types, pg_catalog.pg_get_function_result(p.oid) AS result,
               pg_catalog.obj_description(p.oid, 'pg_proc') AS description
        FROM pg_catalog.unnest('{events,event,activity,top_values,counts_by_action,export,check_filters,export_leaves,feed,
                                 retention_setting,keeping,legal_holds,granted_workspaces,
                                 log_head,heads,root_at,inclusion_proof,consistency_proof,subset_proof,leaves,leaf_of,protection,tile_hashes,verify}'::text[]) f (name)
        LEFT JOIN pg_catalog.pg_proc p ON p.proname = f.name AND p.pronamespace = 'audit'::pg_catalog.regnamespace
    LOOP
        -- A function behind a gate reads what its caller may not read.
        IF inner_function.prosecdef IS NOT TRUE THEN
            RAISE EXCEPTION 'function % must be SECURITY DEFINER', inner_function.name;
        END IF;
        EXECUTE pg_catalog.format('ALTER FUNCTION %s SET SCHEMA audit_internal', inner_function.name);
        gate := pg_catalog.format('FUNCTION audit.%I(%s)', inner_function.proname, inner_function.types);
        EXECUTE pg_catalog.concat_ws(
            ' ', 'CREATE FUNCTION', pg_catalog.format('audit.%I(%s) RETURNS %s', inner_function.proname, inner_function.arguments, inner_function.result),
            'LANGUAGE c', CASE inner_function.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
            'PARALLEL', CASE inner_function.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END,
            CASE WHEN inner_function.proisstrict THEN 'STRICT' END, 'COST ' || inner_function.procost, CASE WHEN inner_function.proretset THEN 'ROWS ' || inner_function.prorows END,
            $$AS 'MODULE_PATHNAME', $$ || CASE WHEN inner_function.has_workspace THEN $$'audit_gate_of_workspace'$$ ELSE $$'audit_gate'$$ END);
        EXECUTE pg_catalog.format('COMMENT ON %s IS %L', gate, inner_function.description);
    END LOOP;
END
$gate$;
