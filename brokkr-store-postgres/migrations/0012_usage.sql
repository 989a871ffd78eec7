-- How much each generator keeps, so that quotas need no count of all rows. Triggers keep the numbers with the owner's rights: a
-- broker can only read them. Each generator has several rows, so that its commits rarely wait for each other.

CREATE TABLE brokkr.generator_usage (
    generator_id uuid NOT NULL REFERENCES brokkr.generator,
    -- Of the stack, so that commits of different stacks rarely share a row.
    shard smallint NOT NULL,
    revisions bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (generator_id, shard)
);

CREATE FUNCTION brokkr.count_revisions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    INSERT INTO brokkr.generator_usage AS u (generator_id, shard, revisions, bytes)
        SELECT generator_id, hashtext(stack_id::text) & 63, count(*), sum(size) FROM added GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (generator_id, shard) DO UPDATE SET revisions = u.revisions + excluded.revisions,
            bytes = u.bytes + excluded.bytes;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_revisions AFTER INSERT ON brokkr.deployment_object
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION brokkr.count_revisions();
-- The trigger's lock keeps further rows out until this step is done.
INSERT INTO brokkr.generator_usage (generator_id, shard, revisions, bytes)
    SELECT generator_id, hashtext(stack_id::text) & 63, count(*), sum(size) FROM brokkr.deployment_object GROUP BY 1, 2;

-- Answers under idempotency keys, of generators only: their callers have a quota.
CREATE TABLE brokkr.answer_usage (
    actor text NOT NULL,
    shard smallint NOT NULL,
    records bigint NOT NULL,
    PRIMARY KEY (actor, shard)
);

CREATE FUNCTION brokkr.count_answers() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    INSERT INTO brokkr.answer_usage AS u (actor, shard, records)
        SELECT actor, hashtext(key) & 15, CASE TG_OP WHEN 'DELETE' THEN -count(*) ELSE count(*) END
        FROM moved WHERE starts_with(actor, 'generator:') GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (actor, shard) DO UPDATE SET records = u.records + excluded.records;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_answers AFTER INSERT ON brokkr.idempotency
    REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION brokkr.count_answers();
CREATE TRIGGER uncount_answers AFTER DELETE ON brokkr.idempotency
    REFERENCING OLD TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION brokkr.count_answers();
INSERT INTO brokkr.answer_usage (actor, shard, records)
    SELECT actor, hashtext(key) & 15, count(*) FROM brokkr.idempotency WHERE starts_with(actor, 'generator:') GROUP BY 1, 2;
REVOKE EXECUTE ON FUNCTION brokkr.count_revisions(), brokkr.count_answers() FROM PUBLIC;
