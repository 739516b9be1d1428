-- The upgrade script of a made-up version. It changes a function, adds a column, a table with a row, and a public function, and drops an
-- index.

SELECT audit_internal.require_library('NEXT');

CREATE OR REPLACE FUNCTION audit.preset(preset text) RETURNS interval
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found interval := (SELECT p.retention FROM audit.retention_preset p WHERE p.preset = lower(preset.preset COLLATE "C"));
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'there is no retention preset "%"', coalesce(left(preset, 100), 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'To list the presets, run SELECT * FROM audit.retention_preset.';
    END IF;
    RETURN found;
END
$$;

ALTER TABLE audit.legal_hold ADD COLUMN matter text;
COMMENT ON COLUMN audit.legal_hold.matter IS 'The legal matter';

-- A script cannot drop it concurrently, because it is one transaction.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX audit.legal_hold_not_cleared;

-- New objects
CREATE TABLE audit.matter (
    matter text COLLATE "C" PRIMARY KEY
);
COMMENT ON TABLE audit.matter IS 'Legal matters';
COMMENT ON COLUMN audit.matter.matter IS 'Name of the matter';
SELECT audit_internal.revoke_all('audit.matter');
GRANT SELECT ON audit.matter TO audit_reader;
INSERT INTO audit.matter VALUES ('none');
SELECT pg_catalog.pg_extension_config_dump('audit.matter', '');

CREATE FUNCTION audit.matters() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(*) FROM audit.matter
$$;
COMMENT ON FUNCTION audit.matters() IS 'Returns the number of legal matters.';
REVOKE ALL ON FUNCTION audit.matters() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.matters() TO audit_reader;
