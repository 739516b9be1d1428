-- Two tables of feedback with the same rows. One is captured, the other has the usual trigger of an application.

CREATE TABLE public.sample AS
SELECT i AS id, i % 300 AS customer, 1 + i % 5 AS rating, 'open' AS status, '/reports/' || i % 40 AS page,
       'The export of report ' || i || ' takes too long, and the file has no header. ' || md5(i::text) AS said,
       jsonb_build_object('browser', 'Firefox', 'plan', 'team') AS context, now() - i * interval '1 minute' AS created_at,
       NULL::timestamptz AS changed_at
FROM generate_series(1, 50000) i;

CREATE TABLE public.captured (LIKE sample, PRIMARY KEY (id));
SELECT audit.capture('captured');

CREATE TABLE public.stand_in (LIKE sample, PRIMARY KEY (id));
CREATE TABLE public.history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    relation text NOT NULL,
    operation text NOT NULL,
    actor text,
    key text NOT NULL,
    old jsonb,
    new jsonb
);
CREATE INDEX ON public.history (at);
CREATE INDEX ON public.history (relation, key, at);
CREATE INDEX ON public.history (actor, at);
CREATE INDEX ON public.history USING gin (coalesce(new, old) jsonb_path_ops);

CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (relation, operation, actor, key, old, new)
    VALUES (TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, TG_OP, current_setting('audit.actor', true),
            CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END,
            CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END, CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
    RETURN NULL;
END
$$;
CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON stand_in FOR EACH ROW EXECUTE FUNCTION note_change();

CREATE FUNCTION refill(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('TRUNCATE %s', relation);
    EXECUTE format('INSERT INTO %s SELECT * FROM sample', relation);
END
$$;

CREATE FUNCTION measure(statement text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
BEGIN
    EXECUTE statement;
    RETURN extract(epoch FROM clock_timestamp() - started);
END
$$;
