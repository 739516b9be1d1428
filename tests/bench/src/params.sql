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
DELETE FROM bench.param WHERE filter = 'workspace' AND kind <> 'common';
ANALYZE bench.param;
