-- Ids of events.

CREATE SEQUENCE audit_internal.event_id_seq AS bigint CACHE 1;
COMMENT ON SEQUENCE audit_internal.event_id_seq IS 'Ids of events; never reused, may have gaps, not in the order of commits';

SELECT pg_catalog.pg_extension_config_dump('audit_internal.event_id_seq', '');
