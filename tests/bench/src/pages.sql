-- Times first pages inside the server, in milliseconds. Each call of bench.call runs once, in random order. If the calls of
-- one kind have taken `most` seconds together, its remaining calls are skipped.

-- squawk-ignore ban-drop-table
DROP TABLE IF EXISTS bench.timing;
CREATE TABLE bench.timing (
    filter text, kind text, span text, workspace text, value text, milliseconds float8, found bigint, round integer,
    reader name DEFAULT current_user);
CREATE INDEX ON bench.timing (round, filter, kind, span) INCLUDE (milliseconds);

-- Half of the calls go to a workspace chosen evenly, and half to one chosen by its size, like calls of its users.
CREATE OR REPLACE VIEW bench.call AS
SELECT p.filter, p.kind, s.span, p.workspace, p.value
FROM bench.param p
CROSS JOIN (VALUES ('week'), ('all')) s (span)
JOIN (SELECT workspace, 1 AS times FROM bench.size
      UNION ALL
      SELECT workspace, greatest(1, round(50 * events / sum(events) OVER ()))::integer FROM bench.size) t USING (workspace),
    generate_series(1, t.times);

CREATE OR REPLACE PROCEDURE bench.time_pages(this_round integer, most integer) LANGUAGE plpgsql AS $$
DECLARE
    c record;
    started timestamptz;
    ended timestamptz;
    n bigint;
BEGIN
    FOR c IN SELECT * FROM bench.call ORDER BY md5(filter || kind || span || workspace || this_round) LOOP
        CONTINUE WHEN (SELECT sum(t.milliseconds) FROM bench.timing t
                       WHERE (t.round, t.filter, t.kind, t.span) = (this_round, c.filter, c.kind, c.span)) > most * 1000;
        started := clock_timestamp();
        IF c.span = 'week' THEN
            SELECT count(*) INTO n FROM audit.events(
                c.workspace,
                action => CASE c.filter WHEN 'action' THEN c.value END,
                actor => CASE c.filter WHEN 'actor' THEN c.value END,
                target => CASE c.filter WHEN 'target' THEN c.value END,
                category => CASE c.filter WHEN 'category' THEN c.value END,
                outcome => CASE c.filter WHEN 'outcome' THEN c.value END,
                details => CASE c.filter WHEN 'details' THEN c.value::jsonb END,
                request_id => CASE c.filter WHEN 'request_id' THEN c.value END,
                session_id => CASE c.filter WHEN 'session_id' THEN c.value END,
                ip => CASE WHEN c.filter IN ('ip', 'range') THEN c.value::inet END,
                filters => CASE c.filter WHEN 'list' THEN c.value::jsonb END);
        ELSE
            SELECT count(*) INTO n FROM audit.events(
                c.workspace,
                action => CASE c.filter WHEN 'action' THEN c.value END,
                actor => CASE c.filter WHEN 'actor' THEN c.value END,
                target => CASE c.filter WHEN 'target' THEN c.value END,
                category => CASE c.filter WHEN 'category' THEN c.value END,
                outcome => CASE c.filter WHEN 'outcome' THEN c.value END,
                details => CASE c.filter WHEN 'details' THEN c.value::jsonb END,
                request_id => CASE c.filter WHEN 'request_id' THEN c.value END,
                session_id => CASE c.filter WHEN 'session_id' THEN c.value END,
                ip => CASE WHEN c.filter IN ('ip', 'range') THEN c.value::inet END,
                filters => CASE c.filter WHEN 'list' THEN c.value::jsonb END,
                since => NULL);
        END IF;
        ended := clock_timestamp();
        INSERT INTO bench.timing
        VALUES (c.filter, c.kind, c.span, c.workspace, c.value, extract(epoch FROM ended - started) * 1000, n, this_round);
    END LOOP;
END
$$;
