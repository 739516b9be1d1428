-- Inserts events {first} to {last} of {total}, on which the pages and the packs are measured. They are events of an MSP
-- platform with 50 workspaces, whose sizes follow a Zipf law. Their times are spread evenly over 13 months.

INSERT INTO audit.event
SELECT nextval('audit_internal.event_id_seq'), d.at, d.at, pg_current_xact_id(),
       ((d.at AT TIME ZONE 'UTC')::date + audit_internal.default_retention())::date,
       'workspace-' || lpad(d.space::text, 2, '0'), d.category, d.action,
       CASE WHEN d.action = 'login_failed' THEN 'failure' WHEN d.luck < 0.005 THEN 'denied' WHEN d.luck < 0.035 THEN 'failure' ELSE 'success' END,
       CASE WHEN d.category = 'rule' THEN 'system:rules' ELSE 'user:' || d.person END,
       CASE d.category
           WHEN 'auth' THEN ARRAY['user:' || d.person, 'customer:' || d.customer]
           WHEN 'admin' THEN ARRAY['setting:' || d.person % 40, 'customer:' || d.customer]
           ELSE ARRAY['ticket:' || d.ticket, 'customer:' || d.customer]
       END,
       -- Some work behind the one address of an office, some at home, by either protocol.
       CASE WHEN d.category <> 'rule' THEN CASE
           WHEN d.person % 10 < 4 THEN inet '198.51.100.0' + d.space
           WHEN d.person % 10 < 7 THEN inet '10.0.0.0' + d.person::bigint * 40503 % 16777216
           ELSE ('2001:db8:' || to_hex(d.space) || ':' || to_hex(d.person) || '::' || to_hex(d.n % 9 + 1))::inet END END,
       CASE WHEN d.category <> 'rule' THEN 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0' END,
       CASE WHEN d.category <> 'rule' THEN 'session-' || d.person || '-' || to_char(d.at, 'IYYY-IW') END,
       'request-' || to_hex(d.n * 7919), 'postgres', 'bench', NULL,
       CASE d.category
           WHEN 'rule' THEN jsonb_build_object(
               'trigger', jsonb_build_object('rule', d.person % 60, 'event', 'ticket_updated', 'field', 'status', 'from', 'open', 'to', 'waiting'),
               'payload', jsonb_build_object('action', 'notify', 'channel', 'service-desk', 'template', 'waiting-for-customer'),
               'outcome', 'dispatched', 'ticket', d.ticket, 'priority', d.priority)
           WHEN 'writeback' THEN jsonb_build_object(
               'request', jsonb_build_object('ticket_id', d.ticket, 'board', 'service', 'status', 'In progress', 'agent', d.person,
                                             'summary', 'Printer on floor ' || d.n % 30 || ' does not answer'),
               'response_status', CASE WHEN d.luck < 0.035 THEN 502 ELSE 200 END, 'ticket', d.ticket, 'priority', d.priority, 'attempt', 1)
           ELSE jsonb_build_object(
               'ticket', d.ticket, 'priority', d.priority, 'source', 'portal', 'method', 'password', 'second_factor', d.n % 3 > 0,
               'browser', jsonb_build_object('name', 'Firefox', 'version', 128, 'locale', 'en-GB'), 'country', 'GB',
               'note', 'as requested by the customer on the phone')
       END,
       uuid_send(gen_random_uuid())
FROM (
    SELECT n, at, space, luck, a.action, a.category,
           (sqrt(who) * who * (20 + 2000 / space))::integer AS person,
           (who * luck * (10 + 400 / space))::integer AS customer,
           -- A ticket has about 25 events within a few days.
           (n / 25 + (who * 200)::integer) AS ticket,
           CASE WHEN sort < 0.8 THEN 'normal' WHEN sort < 0.99 THEN 'high' ELSE 'urgent' END AS priority
    FROM (
        SELECT n, now() - interval '394 days' * (1 - n::float8 / {total}) AS at, random() AS luck, random() AS who, random() AS sort,
               width_bucket(random(), (SELECT array_agg(s.share ORDER BY s.share) FROM bench.workspace s)) + 1 AS space,
               width_bucket(random(), (SELECT array_agg(s.share ORDER BY s.share) FROM bench.action s)) + 1 AS deed
        FROM generate_series({first}::bigint, {last}) n
    ) r
    JOIN bench.action a USING (deed)
) d
