-- Distributions that load.sql draws from. Column share is cumulative.

CREATE SCHEMA bench;

SELECT count(audit_internal.create_partition((date_trunc('month', now()) + make_interval(months => month))::date))
FROM generate_series(0, 14) month;

CREATE TABLE bench.workspace AS
SELECT space, sum(weight) OVER (ORDER BY space) / sum(weight) OVER () AS share
FROM (SELECT space, space::float8 ^ -1.2 AS weight FROM generate_series(1, 50) space) w;
DELETE FROM bench.workspace WHERE space = 50;

CREATE TABLE bench.action AS
SELECT row_number() OVER (ORDER BY weight DESC, action)::integer AS deed, action, category,
       sum(weight) OVER (ORDER BY weight DESC, action) / sum(weight) OVER () AS share
FROM (VALUES
    ('rule_fired', 'rule', 30.0::float8), ('ticket_viewed', 'other', 12), ('update_ticket', 'writeback', 9),
    ('update_ticket_status', 'writeback', 8), ('add_ticket_note', 'writeback', 7), ('create_ticket', 'writeback', 5),
    ('acknowledge_alert', 'writeback', 5), ('ticket_forwarded', 'other', 4), ('create_time_entry', 'writeback', 3.5),
    ('login_succeeded', 'auth', 5), ('sso_callback', 'auth', 3), ('resolve_alert', 'writeback', 2.5),
    ('report_viewed', 'other', 2), ('login_failed', 'auth', 1), ('session_invalidated', 'auth', 0.5),
    ('contact_edited', 'other', 0.6), ('device_viewed', 'other', 0.5), ('feedback_submitted', 'feedback', 0.2),
    ('support_request_submitted', 'feedback', 0.1), ('rate_limited', 'auth', 0.1), ('rule_edited', 'admin', 0.1),
    ('user_role_changed', 'admin', 0.05), ('password_changed', 'auth', 0.05), ('mfa_enrolled', 'auth', 0.03),
    ('rule_created', 'admin', 0.03), ('customer_matching_changed', 'admin', 0.02), ('rule_deleted', 'admin', 0.01),
    ('integration_credentials_saved', 'admin', 0.01), ('branding_updated', 'admin', 0.005)
) a (action, category, weight);
