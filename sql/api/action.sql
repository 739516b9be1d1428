-- The catalog: the actions, their categories, and the JSON Schemas of their details.

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

CREATE TABLE audit.action (
    action text COLLATE "C" PRIMARY KEY,
    category text COLLATE "C" NOT NULL REFERENCES audit.category,
    description text NOT NULL,
    details_schema jsonb,
    built_in boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE audit.action IS 'The actions that audit.append knows. audit.register_action adds an action.';
COMMENT ON COLUMN audit.action.action IS 'Name of the action, as in audit.event.action';
COMMENT ON COLUMN audit.action.category IS 'Category of the events of the action';
COMMENT ON COLUMN audit.action.description IS 'Description of what an event of the action records';
COMMENT ON COLUMN audit.action.details_schema IS 'JSON Schema for the details of the events of the action, or NULL';
COMMENT ON COLUMN audit.action.built_in IS 'True if the extension installed the action';

INSERT INTO audit.action (action, category, description, built_in) VALUES
    ('login_succeeded', 'auth', 'Someone has logged in', true),
    ('login_failed', 'auth', 'A login was refused', true),
    ('account_locked', 'auth', 'An account was locked after too many refused logins', true),
    ('account_unlocked', 'auth', 'A locked account was unlocked', true),
    ('logout', 'auth', 'Someone has logged out', true),
    ('password_changed', 'auth', 'A password was changed', true),
    ('password_reset_requested', 'auth', 'Someone asked for a link that resets a password', true),
    ('password_reset', 'auth', 'A password was reset', true),
    ('mfa_enrolled', 'auth', 'A second factor was enrolled', true),
    ('mfa_reset', 'auth', 'The second factors of a user were reset', true),
    ('mfa_disabled', 'auth', 'A second factor was disabled', true),
    ('mfa_challenge_succeeded', 'auth', 'A second factor was confirmed', true),
    ('mfa_challenge_failed', 'auth', 'A second factor was refused', true),
    ('session_created', 'auth', 'A session was started', true),
    ('session_expired', 'auth', 'A session has reached its time-out', true),
    ('session_invalidated', 'auth', 'A session was ended before its time-out', true),
    ('sessions_invalidated', 'auth', 'All sessions of a user were ended', true),
    ('sso_callback', 'auth', 'An identity provider answered a single sign-on', true),
    ('sso_login_succeeded', 'auth', 'Someone has logged in by single sign-on', true),
    ('sso_login_failed', 'auth', 'A login by single sign-on was refused', true),
    ('rate_limited', 'auth', 'Requests were refused because there were too many', true),
    ('integration_connected', 'admin', 'An integration was connected', true),
    ('integration_credentials_updated', 'admin', 'The credentials of an integration were saved or replaced', true),
    ('integration_credentials_saved', 'admin', 'Older name of integration_credentials_updated', true),
    ('integration_settings_updated', 'admin', 'The settings of an integration were changed', true),
    ('integration_disconnected', 'admin', 'An integration was disconnected', true),
    ('user_invited', 'admin', 'A user was invited', true),
    ('user_invitation_accepted', 'admin', 'An invitation was accepted', true),
    ('user_invitation_revoked', 'admin', 'An invitation was revoked', true),
    ('user_created', 'admin', 'A user was created', true),
    ('user_updated', 'admin', 'The data of a user were changed', true),
    ('user_deactivated', 'admin', 'A user was deactivated', true),
    ('user_reactivated', 'admin', 'A user was reactivated', true),
    ('user_deleted', 'admin', 'A user was deleted', true),
    ('user_role_changed', 'admin', 'A user was given another role', true),
    ('api_key_created', 'admin', 'An API key of the application was created', true),
    ('api_key_rotated', 'admin', 'An API key of the application was replaced', true),
    ('api_key_revoked', 'admin', 'An API key of the application was revoked', true),
    ('sso_configured', 'admin', 'Single sign-on was set up or changed', true),
    ('sso_disabled', 'admin', 'Single sign-on was disabled', true),
    ('branding_updated', 'admin', 'Branding was changed', true),
    ('customer_matching_updated', 'admin', 'The rules that match records to customers were changed', true),
    ('customer_matching_changed', 'admin', 'Older name of customer_matching_updated', true),
    ('settings_updated', 'admin', 'A setting of the application was changed', true),
    ('rule_created', 'admin', 'A rule was created', true),
    ('rule_edited', 'admin', 'A rule was edited', true),
    ('rule_updated', 'admin', 'Same as rule_edited', true),
    ('rule_enabled', 'admin', 'A rule was enabled', true),
    ('rule_disabled', 'admin', 'A rule was disabled', true),
    ('rule_deleted', 'admin', 'A rule was deleted', true),
    ('data_exported', 'admin', 'Data of the application were exported', true),
    ('rule_fired', 'rule', 'A rule was triggered and dispatched its action', true),
    ('ticket_created', 'writeback', 'A ticket was created in an external system', true),
    ('create_ticket', 'writeback', 'Older name of ticket_created', true),
    ('ticket_updated', 'writeback', 'A ticket was edited in an external system', true),
    ('update_ticket', 'writeback', 'Older name of ticket_updated', true),
    ('ticket_status_updated', 'writeback', 'The status of a ticket was changed in an external system', true),
    ('update_ticket_status', 'writeback', 'Older name of ticket_status_updated', true),
    ('ticket_assigned', 'writeback', 'A ticket was assigned in an external system', true),
    ('ticket_closed', 'writeback', 'A ticket was closed in an external system', true),
    ('ticket_merged', 'writeback', 'Tickets were merged in an external system', true),
    ('ticket_deleted', 'writeback', 'A ticket was deleted in an external system', true),
    ('ticket_note_added', 'writeback', 'A note was added to a ticket in an external system', true),
    ('add_ticket_note', 'writeback', 'Older name of ticket_note_added', true),
    ('note_created', 'writeback', 'A note was created in an external system', true),
    ('note_updated', 'writeback', 'A note was edited in an external system', true),
    ('note_deleted', 'writeback', 'A note was deleted in an external system', true),
    ('alert_acknowledged', 'writeback', 'An alert was acknowledged in an external system', true),
    ('acknowledge_alert', 'writeback', 'Older name of alert_acknowledged', true),
    ('alert_resolved', 'writeback', 'An alert was resolved in an external system', true),
    ('resolve_alert', 'writeback', 'Older name of alert_resolved', true),
    ('alert_reopened', 'writeback', 'An alert was opened again in an external system', true),
    ('alert_updated', 'writeback', 'An alert was edited in an external system', true),
    ('time_entry_created', 'writeback', 'Time was entered in an external system', true),
    ('create_time_entry', 'writeback', 'Older name of time_entry_created', true),
    ('time_entry_updated', 'writeback', 'A time entry was edited in an external system', true),
    ('time_entry_deleted', 'writeback', 'A time entry was deleted in an external system', true),
    ('invoice_created', 'writeback', 'An invoice was created in an external system', true),
    ('invoice_updated', 'writeback', 'An invoice was edited in an external system', true),
    ('invoice_sent', 'writeback', 'An invoice was sent from an external system', true),
    ('invoice_voided', 'writeback', 'An invoice was voided in an external system', true),
    ('feedback_submitted', 'feedback', 'A customer gave feedback', true),
    ('feedback_rating_submitted', 'feedback', 'A customer rated a ticket or an answer', true),
    ('support_request_submitted', 'feedback', 'A customer asked for support', true),
    ('support_request_updated', 'feedback', 'A customer added to a request for support', true),
    ('action_registered', 'audit', 'An action was added to the catalog or changed in it', true),
    ('events_imported', 'audit', 'Events of an existing audit log were imported', true),
    ('events_queried', 'audit', 'Events were queried through the sidecar', true),
    ('feed_read', 'audit', 'The feed of a workspace was read through the sidecar; one event stands for an hour', true),
    ('export_started', 'audit', 'An export or evidence pack was started', true),
    ('export_finished', 'audit', 'An export or evidence pack was finished', true),
    ('retention_changed', 'audit', 'The retention of a workspace was changed', true),
    ('legal_hold_placed', 'audit', 'A legal hold was placed on events of a workspace', true),
    ('legal_hold_released', 'audit', 'A legal hold was released', true),
    ('partition_dropped', 'audit', 'A month of events past their retention was dropped', true),
    ('events_removed', 'audit', 'Events of a workspace past their retention were removed', true),
    ('clock_confirmed', 'audit', 'A clock that had moved far ahead was confirmed, so that expired events are removed again', true),
    ('heads_recorded', 'audit', 'The changed heads of workspace logs were recorded in the system log', true),
    ('incarnation_begun', 'audit', 'Sealing was continued after a promotion, a recovery or a restore', true),
    ('checkpoint_refused', 'audit', 'A checkpoint was not signed because the system log contradicts the last signed one', true),
    ('signing_key_changed', 'audit', 'The keys that sign checkpoints were changed', true),
    ('checkpoint_reset', 'audit', 'An operator restarted the signing of checkpoints', true),
    ('event_redacted', 'audit', 'A field of an event was erased for good', true),
    ('log_verified', 'audit', 'The events and the log of a workspace were checked on the admin pages', true),
    ('partition_archived', 'audit', 'Events that are due to be dropped were written to object storage', true),
    ('api_token_created', 'audit', 'A token for the sidecar was created', true),
    ('api_token_revoked', 'audit', 'A token for the sidecar was revoked', true),
    ('session_started', 'audit', 'Someone logged in to the admin pages', true),
    ('session_refused', 'audit', 'A login to the admin pages was refused', true),
    ('session_ended', 'audit', 'Someone logged out of the admin pages, or an admin ended a session', true),
    ('login_link_created', 'audit', 'An operator created a link that logs in to the admin pages once', true);

SELECT pg_catalog.pg_extension_config_dump('audit.action', 'WHERE NOT built_in');

CREATE TRIGGER forget_cached AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON audit.action
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.forget_cached();
ALTER TABLE audit.action ENABLE ALWAYS TRIGGER forget_cached;
COMMENT ON TRIGGER forget_cached ON audit.action IS 'Makes every backend read the catalog again';
CREATE TRIGGER forget_cached AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON audit.category
    FOR EACH STATEMENT EXECUTE FUNCTION audit_internal.forget_cached();
ALTER TABLE audit.category ENABLE ALWAYS TRIGGER forget_cached;
COMMENT ON TRIGGER forget_cached ON audit.category IS 'Makes every backend read the categories again';

CREATE FUNCTION audit.register_action(
    action text,
    category text,
    description text,
    details_schema jsonb DEFAULT NULL
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    problem text;
BEGIN
    IF action IS NULL OR action !~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$' THEN
        RAISE EXCEPTION 'action "%" is not a valid name', coalesce(left(action, 200), 'NULL')
            USING ERRCODE = 'ZA003',
                  HINT = 'Use 1 to 128 letters, digits and _ . : / -. Begin with a letter or digit.';
    END IF;
    IF description IS NULL OR description = '' THEN
        RAISE EXCEPTION 'action "%" has no description', action
            USING ERRCODE = 'ZA003', HINT = 'Describe what an event of this action records.';
    END IF;
    IF category IS NULL OR category = 'audit'
       OR NOT EXISTS (SELECT FROM audit.category c WHERE c.category = register_action.category) THEN
        RAISE EXCEPTION 'an action cannot be registered in category "%"', coalesce(left(category, 100), 'NULL')
            USING ERRCODE = 'ZA003', HINT = 'Use category auth, admin, rule, writeback, feedback or other.';
    END IF;
    IF EXISTS (SELECT FROM audit.action a WHERE a.action = register_action.action AND a.built_in) THEN
        RAISE EXCEPTION 'action "%" is built in and cannot be changed', action
            USING ERRCODE = 'ZA010', HINT = 'Register an action of your own under another name.';
    END IF;
    problem := audit_internal.schema_error(details_schema);
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'details_schema is not a valid JSON Schema: %', problem
            USING ERRCODE = 'ZA005', HINT = 'See https://json-schema.org/specification. A $ref must point inside the schema.';
    END IF;

    INSERT INTO audit.action AS a (action, category, description, details_schema)
    VALUES (action, category, description, details_schema)
    ON CONFLICT ON CONSTRAINT action_pkey DO UPDATE
    SET category = excluded.category, description = excluded.description, details_schema = excluded.details_schema;

    PERFORM audit.append('action_registered', workspace => 'audit', target => 'action:' || action,
                         details => jsonb_build_object('action', action, 'category', category, 'description', description,
                                                       'details_schema', details_schema));
END
$$;
COMMENT ON FUNCTION audit.register_action(text, text, text, jsonb) IS
    'Adds an action to the catalog, or changes one that is not built in. Every append then validates the details against details_schema, a JSON Schema (SQLSTATE ZA003, ZA005, ZA010).';
