-- The background workers learn that the extension was installed.

CREATE FUNCTION audit_internal.announce_installation() RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'audit_announce_installation';
COMMENT ON FUNCTION audit_internal.announce_installation() IS
    'Makes the launcher start a sealer soon after this transaction commits, if the library is preloaded. CREATE EXTENSION calls it.';

SELECT audit_internal.announce_installation();
