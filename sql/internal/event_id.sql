-- Ids of events.

CREATE SEQUENCE audit_internal.event_id_seq AS bigint CACHE 1;
COMMENT ON SEQUENCE audit_internal.event_id_seq IS 'Ids of events. An id is never reused. Ids can have gaps and are not in the order of commits.';

SELECT pg_catalog.pg_extension_config_dump('audit_internal.event_id_seq', '');
