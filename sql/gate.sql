-- The gates of the query functions. A function that is named here moves to audit_internal, and a gate takes its place: a function of
-- the library with the same name, arguments and result (extension/src/gate.rs). A bound caller passes only with a workspace that is
-- granted to it. If the last argument of the function is bound_caller, the gate has no such argument, and passes the role of a bound
-- caller in it. This file runs after all functions are created, and before their rights are granted.

DO $gate$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.*, p.oid::pg_catalog.regprocedure AS identity, coalesce(p.proargnames[1] = 'workspace', false) AS has_workspace,
               pg_catalog.regexp_replace(pg_catalog.pg_get_function_arguments(p.oid), '(, )?bound_caller oid( DEFAULT NULL::oid)?', '') AS arguments,
               pg_catalog.regexp_replace(pg_catalog.pg_get_function_identity_arguments(p.oid), '(, )?bound_caller oid', '') AS types,
               pg_catalog.pg_get_function_result(p.oid) AS result, pg_catalog.obj_description(p.oid, 'pg_proc') AS description
        FROM pg_catalog.unnest('{events,event,activity,top_values,counts_by_action,export,check_filters,export_leaves,feed,
                                 retention_setting,keeping,legal_holds,granted_workspaces,
                                 log_head,heads,root_at,inclusion_proof,consistency_proof,subset_proof,leaves,leaf_of,protection,tile_hashes,
                                 verify}'::text[]) n (name)
        LEFT JOIN pg_catalog.pg_proc p ON p.proname = n.name AND p.pronamespace = 'audit'::pg_catalog.regnamespace
    LOOP
        -- A function behind a gate reads what its caller may not read.
        IF f.prosecdef IS NOT TRUE THEN
            RAISE EXCEPTION 'function % must be SECURITY DEFINER', f.identity;
        END IF;
        EXECUTE pg_catalog.format('ALTER FUNCTION %s SET SCHEMA audit_internal', f.identity);
        EXECUTE pg_catalog.concat_ws(
            ' ', pg_catalog.format('CREATE FUNCTION audit.%I(%s) RETURNS %s LANGUAGE c', f.proname, f.arguments, f.result),
            CASE f.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
            'PARALLEL', CASE f.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END,
            CASE WHEN f.proisstrict THEN 'STRICT' END,
            'COST ' || f.procost,
            CASE WHEN f.proretset THEN 'ROWS ' || f.prorows END,
            $$AS 'MODULE_PATHNAME',$$, CASE WHEN f.has_workspace THEN $$'audit_gate_of_workspace'$$ ELSE $$'audit_gate'$$ END);
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION audit.%I(%s) IS %L', f.proname, f.types, f.description);
    END LOOP;
END
$gate$;
