-- Registrations that are refused.
SELECT audit.register_action('login_failed', 'admin', 'd');
SELECT audit.register_action('a b', 'admin', 'd');
SELECT audit.register_action('', 'admin', 'd');
SELECT audit.register_action(NULL, 'admin', 'd');
SELECT audit.register_action(repeat('a', 129), 'admin', 'd');
SELECT audit.register_action('a', 'audit', 'd');
SELECT audit.register_action('a', 'nonsense', 'd');
SELECT audit.register_action('a', NULL, 'd');
SELECT audit.register_action('a', 'admin', '');
SELECT audit.register_action('a', 'admin', NULL);
SELECT audit.register_action('a', 'admin', 'd', '{"type": "nonsense"}');
SELECT audit.register_action('a', 'admin', 'd', '7');
SELECT audit.register_action('a', 'admin', 'd', '{"$ref": "https://example.com/s.json"}');
SELECT audit.register_action('a', 'admin', 'd', '{"$ref": "file:///etc/passwd"}');
SELECT count(*) FROM audit.action WHERE NOT built_in;
