-- The retentions that can be set, and the presets.
SET ROLE audit_admin;
SELECT audit.set_retention('acme', '60 days');
SELECT retention FROM audit.retention_setting('acme');
SELECT audit.set_retention('acme', '3 months');
SELECT retention FROM audit.retention_setting('acme');
SELECT audit.set_retention('acme', '13 months');
SELECT retention FROM audit.retention_setting('acme');
SELECT audit.set_retention('acme', '1 year');
SELECT retention FROM audit.retention_setting('acme');
SELECT audit.set_retention('acme', '2 months 1 day');
SELECT retention FROM audit.retention_setting('acme');
SELECT audit.set_retention('acme', '7 years');
SELECT retention FROM audit.retention_setting('acme');
SELECT audit.set_retention('acme', '100 years');
SELECT retention FROM audit.retention_setting('acme');
SELECT audit.set_retention('acme', '2 months 2 days');
SELECT retention FROM audit.retention_setting('acme');

-- Two months are 59 days, if February is the second.
SELECT audit.set_retention('acme', '59 days');
SELECT audit.set_retention('acme', '2 months');
SELECT audit.set_retention('acme', '0 days');
SELECT audit.set_retention('acme', '-1 year');
SELECT audit.set_retention('acme', '3 months -30 days');
SELECT audit.set_retention('acme', '101 years');
SELECT audit.set_retention('acme', '60 days 1 hour');
SELECT audit.set_retention('acme', '1 hour');
SELECT audit.set_retention('acme', '4 months -29 days');
SELECT audit.set_retention('acme', '10000 years -3564000 days');
SELECT audit.set_retention('acme', '36526 days');
SELECT audit.set_retention('acme', NULL);
SELECT audit.set_retention('', '1 year');
SELECT audit.set_retention(NULL, '1 year');
SELECT audit.set_retention(repeat('x', 201), '1 year');
SELECT audit.set_retention(E'a\nb', '1 year');
SELECT retention FROM audit.retention('acme');

SELECT preset, retention, source FROM audit.retention_preset ORDER BY preset;
SELECT audit.set_retention('acme', audit.preset('HIPAA'));
SELECT retention FROM audit.retention('acme');
SELECT audit.preset('iso');
SELECT audit.preset(NULL);
