-- The filter values of the page benchmark: for each workspace and filter the most frequent value, one of the rarest tenth,
-- and one in between. They are computed once per database.

CREATE TABLE bench.size AS SELECT workspace, count(*) AS events FROM audit.event GROUP BY 1;

CREATE TABLE bench.param (filter text, kind text, workspace text, value text);

-- Chooses the values of one filter for each workspace, ranked by their frequency.
CREATE FUNCTION bench.choose(filter text, expression text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($sql$
        INSERT INTO bench.param
        SELECT %L, k.kind, v.workspace, v.value
        FROM (SELECT workspace, value, events, row_number() OVER w AS place, count(*) OVER (PARTITION BY workspace) AS values
              FROM (SELECT workspace, %s AS value, count(*) AS events FROM audit.event e GROUP BY 1, 2) c
              WHERE value IS NOT NULL
              WINDOW w AS (PARTITION BY workspace ORDER BY events DESC, value)) v
        JOIN (VALUES ('common', 0), ('middling', 0.3), ('rare', 0.97)) k (kind, rank)
            ON v.place = 1 + floor(k.rank * (v.values - 1))
    $sql$, filter, expression);
END
$$;

SELECT bench.choose('workspace', '''all''::text');
SELECT bench.choose('action', 'e.action');
SELECT bench.choose('actor', 'e.actor');
SELECT bench.choose('category', 'e.category');
SELECT bench.choose('outcome', 'e.outcome');
SELECT bench.choose('target', 'unnest(e.targets)');
SELECT bench.choose('details', 'unnest(ARRAY[''{"priority": "'' || (e.details ->> ''priority'') || ''"}'', '
                               '''{"ticket": '' || (e.details ->> ''ticket'') || ''}''])');
SELECT bench.choose('request_id', 'e.request_id');
SELECT bench.choose('session_id', 'e.session_id');
SELECT bench.choose('ip', 'host(e.ip)');
SELECT bench.choose('range', 'unnest(ARRAY(SELECT network(set_masklen(e.ip, l))::text '
                             'FROM unnest(CASE family(e.ip) WHEN 4 THEN ARRAY[12, 16, 20, 24, 28] ELSE ARRAY[40, 48, 56, 64, 112] END) l))');
-- Several values, prefixes and exclusions.
INSERT INTO bench.param
SELECT 'list', l.kind, s.workspace, l.value
FROM bench.size s
CROSS JOIN (VALUES ('values', '{"action": ["login_failed", "rule_edited", "branding_updated"]}'),
                   ('rare values', '{"action": ["integration_credentials_saved", "branding_updated"]}'),
                   ('prefix', '{"action": "rule_*"}'),
                   ('rare prefix', '{"action": "integration_*"}'),
                   ('exclusion', '{"actor!": "system:*", "outcome!": "success"}'),
                   ('targets', '{"target": ["customer:1", "customer:7", "setting:3"]}')) l (kind, value);
DELETE FROM bench.param WHERE filter = 'workspace' AND kind <> 'common';
ANALYZE bench.param;
