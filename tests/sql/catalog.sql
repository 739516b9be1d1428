-- The catalog: categories, built-in actions, and what they require of details.
SELECT category, description, required_keys FROM audit.category ORDER BY category;
SELECT action, category, tags FROM audit.action ORDER BY category, action;
SELECT tag, description FROM audit.tag ORDER BY tag;
SELECT count(*) FROM audit.action WHERE description = '' OR NOT built_in;

-- Events get the category of their action.
SELECT count(audit.append(action, 'acme')) FROM audit.action WHERE category IN ('auth', 'admin', 'feedback');
SELECT action, category FROM audit.events('acme') ORDER BY category, action;

-- A rule dispatch carries trigger, payload and outcome.
SELECT audit.append('rule_fired', 'acme', details => '{}');
SELECT audit.append('rule_fired', 'acme', details => '{"trigger": {}, "payload": {}}');
SELECT audit.append('rule_fired', 'acme', details => '{"details": {"trigger": 1, "payload": 1, "outcome": 1}}');
SELECT audit.append('rule_fired', 'acme', details => '{"trigger": {"alert": 1}, "payload": {"ticket": 2}, "outcome": "dispatched", "more": null}');
SELECT details FROM audit.events('acme', action => 'rule_fired');
