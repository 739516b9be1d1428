-- The catalog: the actions, their categories and tags, and the JSON Schemas of their details.

CREATE TABLE audit.category (
    category text COLLATE "C" PRIMARY KEY,
    description text NOT NULL,
    required_keys text[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE audit.category IS 'The categories of actions';
COMMENT ON COLUMN audit.category.category IS 'Name of the category';
COMMENT ON COLUMN audit.category.description IS 'Kind of action that belongs to the category';
COMMENT ON COLUMN audit.category.required_keys IS 'Top-level keys that the details of each event of the category must have';

INSERT INTO audit.category (category, description, required_keys) VALUES
    ('auth', 'Logins, credentials and sessions of people', '{}'),
    ('admin', 'Changes that an administrator makes: users, roles, API keys, integrations, branding, rules', '{}'),
    ('rule', 'Dispatches of the rules engine', '{trigger,payload,outcome}'),
    ('writeback', 'Writes to external systems', '{request,response_status}'),
    ('feedback', 'Feedback and requests that customers submit', '{}'),
    ('audit', 'Operations on the audit log itself: queries, exports, tokens, catalog', '{}'),
    ('other', 'Actions that the catalog does not know', '{}');

CREATE TABLE audit.tag (
    tag text COLLATE "C" PRIMARY KEY,
    description text NOT NULL
);
COMMENT ON TABLE audit.tag IS 'The tags of actions. Evidence packs select events by the tags of their actions.';
COMMENT ON COLUMN audit.tag.tag IS 'Name of the tag';
COMMENT ON COLUMN audit.tag.description IS 'Kind of action that has the tag';

-- proof/definitions.toml lists the same tags with their built-in actions. A test compares the two.
INSERT INTO audit.tag (tag, description) VALUES
    ('login', 'Logins that succeeded, and logins of systems that record a failure only as the outcome'),
    ('login_failure', 'Logins that were refused'),
    ('logout', 'Logouts'),
    ('sso', 'Single sign-on: its logins, callbacks and configuration'),
    ('mfa', 'Second factors: enrolled, reset, disabled, confirmed, refused'),
    ('credential', 'Passwords, API keys and other credentials of people and programs'),
    ('session', 'Sessions: started, expired, ended'),
    ('user', 'Accounts: invited, created, changed, deactivated, deleted'),
    ('role_change', 'Roles, groups and privileges of a user'),
    ('integration', 'Integrations and their credentials'),
    ('configuration', 'Settings: branding, customer matching, policies'),
    ('rule', 'Rules of the rules engine: created, edited, enabled, disabled, deleted'),
    ('dispatch', 'Dispatches of the rules engine'),
    ('writeback', 'Writes to external systems'),
    ('feedback', 'Feedback and requests that customers submit'),
    ('rate_limit', 'Requests that a rate limit refused'),
    ('export', 'Data that leave the system'),
    ('audit_access', 'Access to the audit log: admin pages, queries, feeds'),
    ('audit_change', 'Changes of the audit log: catalog, tokens, retention, legal holds, redactions, keys'),
    ('audit_operation', 'Operations that the audit log performs itself: sealing, removal, archiving');

CREATE TABLE audit.action (
    action text COLLATE "C" PRIMARY KEY,
    category text COLLATE "C" NOT NULL REFERENCES audit.category,
    description text NOT NULL,
    details_schema jsonb,
    built_in boolean NOT NULL DEFAULT false,
    tags text[] COLLATE "C" NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE audit.action IS 'The actions that audit.append knows. audit.register_action adds an action.';
COMMENT ON COLUMN audit.action.action IS 'Name of the action, as in audit.event.action. A final * stands for any text: the row is a pattern.';
COMMENT ON COLUMN audit.action.category IS 'Category of the events of the action';
COMMENT ON COLUMN audit.action.description IS 'Description of what an event of the action records';
COMMENT ON COLUMN audit.action.details_schema IS 'JSON Schema for the details of the events of the action, or NULL';
COMMENT ON COLUMN audit.action.built_in IS 'True if the extension installed the action';
COMMENT ON COLUMN audit.action.tags IS 'Tags of the action, each from audit.tag';

INSERT INTO audit.action (action, category, tags, description, built_in) VALUES
    ('login_succeeded', 'auth', '{login}', 'Someone has logged in', true),
    ('login_failed', 'auth', '{login_failure}', 'A login was refused', true),
    ('account_locked', 'auth', '{login_failure}', 'An account was locked after too many refused logins', true),
    ('account_unlocked', 'auth', '{credential}', 'A locked account was unlocked', true),
    ('logout', 'auth', '{logout}', 'Someone has logged out', true),
    ('password_changed', 'auth', '{credential}', 'A password was changed', true),
    ('password_reset_requested', 'auth', '{credential}', 'Someone asked for a link that resets a password', true),
    ('password_reset', 'auth', '{credential}', 'A password was reset', true),
    ('mfa_enrolled', 'auth', '{mfa}', 'A second factor was enrolled', true),
    ('mfa_reset', 'auth', '{mfa}', 'The second factors of a user were reset', true),
    ('mfa_disabled', 'auth', '{mfa}', 'A second factor was disabled', true),
    ('mfa_challenge_succeeded', 'auth', '{mfa}', 'A second factor was confirmed', true),
    ('mfa_challenge_failed', 'auth', '{mfa,login_failure}', 'A second factor was refused', true),
    ('session_created', 'auth', '{session}', 'A session was started', true),
    ('session_expired', 'auth', '{session}', 'A session has reached its time-out', true),
    ('session_invalidated', 'auth', '{session}', 'A session was ended before its time-out', true),
    ('sessions_invalidated', 'auth', '{session}', 'All sessions of a user were ended', true),
    ('sso_callback', 'auth', '{sso}', 'An identity provider answered a single sign-on', true),
    ('sso_login_succeeded', 'auth', '{sso,login}', 'Someone has logged in by single sign-on', true),
    ('sso_login_failed', 'auth', '{sso,login_failure}', 'A login by single sign-on was refused', true),
    ('rate_limited', 'auth', '{rate_limit}', 'Requests were refused because there were too many', true),
    ('integration_connected', 'admin', '{integration}', 'An integration was connected', true),
    ('integration_credentials_updated', 'admin', '{integration}', 'The credentials of an integration were saved or replaced', true),
    ('integration_credentials_saved', 'admin', '{integration}', 'Older name of integration_credentials_updated', true),
    ('integration_settings_updated', 'admin', '{integration}', 'The settings of an integration were changed', true),
    ('integration_disconnected', 'admin', '{integration}', 'An integration was disconnected', true),
    ('user_invited', 'admin', '{user}', 'A user was invited', true),
    ('user_invitation_accepted', 'admin', '{user}', 'An invitation was accepted', true),
    ('user_invitation_revoked', 'admin', '{user}', 'An invitation was revoked', true),
    ('user_created', 'admin', '{user}', 'A user was created', true),
    ('user_updated', 'admin', '{user}', 'The data of a user were changed', true),
    ('user_deactivated', 'admin', '{user}', 'A user was deactivated', true),
    ('user_reactivated', 'admin', '{user}', 'A user was reactivated', true),
    ('user_deleted', 'admin', '{user}', 'A user was deleted', true),
    ('user_role_changed', 'admin', '{role_change}', 'A user was given another role', true),
    ('api_key_created', 'admin', '{credential}', 'An API key of the application was created', true),
    ('api_key_rotated', 'admin', '{credential}', 'An API key of the application was replaced', true),
    ('api_key_revoked', 'admin', '{credential}', 'An API key of the application was revoked', true),
    ('sso_configured', 'admin', '{sso,configuration}', 'Single sign-on was set up or changed', true),
    ('sso_disabled', 'admin', '{sso,configuration}', 'Single sign-on was disabled', true),
    ('branding_updated', 'admin', '{configuration}', 'Branding was changed', true),
    ('customer_matching_updated', 'admin', '{configuration}', 'The rules that match records to customers were changed', true),
    ('customer_matching_changed', 'admin', '{configuration}', 'Older name of customer_matching_updated', true),
    ('settings_updated', 'admin', '{configuration}', 'A setting of the application was changed', true),
    ('rule_created', 'admin', '{rule}', 'A rule was created', true),
    ('rule_edited', 'admin', '{rule}', 'A rule was edited', true),
    ('rule_updated', 'admin', '{rule}', 'Same as rule_edited', true),
    ('rule_enabled', 'admin', '{rule}', 'A rule was enabled', true),
    ('rule_disabled', 'admin', '{rule}', 'A rule was disabled', true),
    ('rule_deleted', 'admin', '{rule}', 'A rule was deleted', true),
    ('data_exported', 'admin', '{export}', 'Data of the application were exported', true),
    ('rule_fired', 'rule', '{dispatch}', 'A rule was triggered and dispatched its action', true),
    ('ticket_created', 'writeback', '{writeback}', 'A ticket was created in an external system', true),
    ('create_ticket', 'writeback', '{writeback}', 'Older name of ticket_created', true),
    ('ticket_updated', 'writeback', '{writeback}', 'A ticket was edited in an external system', true),
    ('update_ticket', 'writeback', '{writeback}', 'Older name of ticket_updated', true),
    ('ticket_status_updated', 'writeback', '{writeback}', 'The status of a ticket was changed in an external system', true),
    ('update_ticket_status', 'writeback', '{writeback}', 'Older name of ticket_status_updated', true),
    ('ticket_assigned', 'writeback', '{writeback}', 'A ticket was assigned in an external system', true),
    ('ticket_closed', 'writeback', '{writeback}', 'A ticket was closed in an external system', true),
    ('ticket_merged', 'writeback', '{writeback}', 'Tickets were merged in an external system', true),
    ('ticket_deleted', 'writeback', '{writeback}', 'A ticket was deleted in an external system', true),
    ('ticket_note_added', 'writeback', '{writeback}', 'A note was added to a ticket in an external system', true),
    ('add_ticket_note', 'writeback', '{writeback}', 'Older name of ticket_note_added', true),
    ('note_created', 'writeback', '{writeback}', 'A note was created in an external system', true),
    ('note_updated', 'writeback', '{writeback}', 'A note was edited in an external system', true),
    ('note_deleted', 'writeback', '{writeback}', 'A note was deleted in an external system', true),
    ('alert_acknowledged', 'writeback', '{writeback}', 'An alert was acknowledged in an external system', true),
    ('acknowledge_alert', 'writeback', '{writeback}', 'Older name of alert_acknowledged', true),
    ('alert_resolved', 'writeback', '{writeback}', 'An alert was resolved in an external system', true),
    ('resolve_alert', 'writeback', '{writeback}', 'Older name of alert_resolved', true),
    ('alert_reopened', 'writeback', '{writeback}', 'An alert was opened again in an external system', true),
    ('alert_updated', 'writeback', '{writeback}', 'An alert was edited in an external system', true),
    ('time_entry_created', 'writeback', '{writeback}', 'Time was entered in an external system', true),
    ('create_time_entry', 'writeback', '{writeback}', 'Older name of time_entry_created', true),
    ('time_entry_updated', 'writeback', '{writeback}', 'A time entry was edited in an external system', true),
    ('time_entry_deleted', 'writeback', '{writeback}', 'A time entry was deleted in an external system', true),
    ('invoice_created', 'writeback', '{writeback}', 'An invoice was created in an external system', true),
    ('invoice_updated', 'writeback', '{writeback}', 'An invoice was edited in an external system', true),
    ('invoice_sent', 'writeback', '{writeback}', 'An invoice was sent from an external system', true),
    ('invoice_voided', 'writeback', '{writeback}', 'An invoice was voided in an external system', true),
    ('feedback_submitted', 'feedback', '{feedback}', 'A customer gave feedback', true),
    ('feedback_rating_submitted', 'feedback', '{feedback}', 'A customer rated a ticket or an answer', true),
    ('support_request_submitted', 'feedback', '{feedback}', 'A customer asked for support', true),
    ('support_request_updated', 'feedback', '{feedback}', 'A customer added to a request for support', true),
    ('action_registered', 'audit', '{audit_change}', 'An action was added to the catalog or changed in it', true),
    ('events_imported', 'audit', '{audit_change}', 'Events of an existing audit log were imported', true),
    ('events_queried', 'audit', '{audit_access}', 'Events were queried through the sidecar', true),
    ('feed_read', 'audit', '{audit_access}', 'The feed of a workspace was read through the sidecar; one event stands for an hour', true),
    ('export_started', 'audit', '{export}', 'An export or evidence pack was started', true),
    ('export_finished', 'audit', '{export}', 'An export or evidence pack was finished', true),
    ('retention_changed', 'audit', '{audit_change}', 'The retention of a workspace was changed', true),
    ('legal_hold_placed', 'audit', '{audit_change}', 'A legal hold was placed on events of a workspace', true),
    ('legal_hold_released', 'audit', '{audit_change}', 'A legal hold was released', true),
    ('workspace_granted', 'audit', '{audit_change}', 'A workspace was granted to a database role', true),
    ('workspace_revoked', 'audit', '{audit_change}', 'A workspace was revoked from a database role', true),
    ('partition_dropped', 'audit', '{audit_operation}', 'A month of events past their retention was dropped', true),
    ('events_removed', 'audit', '{audit_operation}', 'Events of a workspace past their retention were removed', true),
    ('clock_confirmed', 'audit', '{audit_change}', 'A clock that had moved far ahead was confirmed, so that expired events are removed again', true),
    ('capture_started', 'audit', '{audit_change}', 'The capture of the changes of a table was started, or its settings were changed', true),
    ('capture_ended', 'audit', '{audit_change}', 'The capture of the changes of a table was ended', true),
    ('change_refused', 'audit', '{audit_change}', 'An attempt to change the audit log, or to reach more of it than is granted, was refused', true),
    ('guard_opened', 'audit', '{audit_change}', 'A superuser opened the guard against changes of the audit log', true),
    ('guard_closed', 'audit', '{audit_change}', 'The guard against changes of the audit log was closed again', true),
    ('heads_recorded', 'audit', '{audit_operation}', 'The changed heads of workspace logs were recorded in the system log', true),
    ('incarnation_begun', 'audit', '{audit_operation}', 'Sealing was continued after a promotion, a recovery or a restore', true),
    ('checkpoint_refused', 'audit', '{audit_operation}', 'A checkpoint was not signed because the system log contradicts the last signed one', true),
    ('signing_key_changed', 'audit', '{audit_change}', 'The keys that sign checkpoints were changed', true),
    ('checkpoint_reset', 'audit', '{audit_change}', 'An operator restarted the signing of checkpoints', true),
    ('event_redacted', 'audit', '{audit_change}', 'A field of an event was erased for good', true),
    ('log_verified', 'audit', '{audit_access}', 'The events and the log of a workspace were checked on the admin pages', true),
    ('partition_archived', 'audit', '{audit_operation}', 'Events that are due to be dropped were written to object storage', true),
    ('api_token_created', 'audit', '{audit_change}', 'A token for the sidecar was created', true),
    ('api_token_revoked', 'audit', '{audit_change}', 'A token for the sidecar was revoked', true),
    ('session_started', 'audit', '{audit_access}', 'Someone logged in to the admin pages', true),
    ('session_refused', 'audit', '{audit_access}', 'A login to the admin pages was refused', true),
    ('session_ended', 'audit', '{audit_access}', 'Someone logged out of the admin pages, or an admin ended a session', true),
    ('login_link_created', 'audit', '{audit_change}', 'An operator or a host application created a link that logs in to the admin pages once', true);

SELECT pg_catalog.pg_extension_config_dump('audit.action', 'WHERE NOT built_in');

CREATE TRIGGER forget_cached AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON audit.action
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.forget_cached();
ALTER TABLE audit.action ENABLE ALWAYS TRIGGER forget_cached;
COMMENT ON TRIGGER forget_cached ON audit.action IS 'Makes every backend read the catalog again';
CREATE TRIGGER forget_cached AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON audit.category
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.forget_cached();
ALTER TABLE audit.category ENABLE ALWAYS TRIGGER forget_cached;
COMMENT ON TRIGGER forget_cached ON audit.category IS 'Makes every backend read the categories again';
