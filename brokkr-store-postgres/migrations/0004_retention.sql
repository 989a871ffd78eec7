-- What one broker at a time does, and what is no longer kept.

-- Leases, on the database's clock. The number rises with every holder: what was begun under a lower one is void.
CREATE TABLE brokkr.lease (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    fencing bigint NOT NULL,
    until timestamptz NOT NULL
);

-- How long at least everything is kept, whatever brokers are told. The owner's to change.
CREATE TABLE brokkr.retention (
    what text PRIMARY KEY CHECK (what IN ('events', 'audit', 'changes')),
    minimum interval NOT NULL
);
INSERT INTO brokkr.retention (what, minimum) VALUES ('events', '7 days'), ('audit', '90 days'), ('changes', '1 day');

-- Deletes what is older, at most so many rows of it, and records that it did. With the owner's rights: nobody else deletes.
CREATE FUNCTION brokkr.purge(what text, older_than interval, batch integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    least interval := (SELECT r.minimum FROM brokkr.retention r WHERE r.what = purge.what);
    cutoff timestamptz := clock_timestamp() - older_than;
    gone bigint;
    last_epoch integer;
    last_transaction xid8;
    last_sequence integer;
BEGIN
    IF least IS NULL OR older_than < least THEN
        RAISE EXCEPTION '% are kept for % at least', what, coalesce(least::text, 'ever')
            USING ERRCODE = 'insufficient_privilege', HINT = 'the owner may change brokkr.retention';
    END IF;
    PERFORM set_config('brokkr.purging', 'on', true);
    CASE what
    WHEN 'events' THEN
        DELETE FROM brokkr.agent_event e USING (
            SELECT o.agent_id, o.id FROM brokkr.agent_event o WHERE o.recorded_at < cutoff ORDER BY o.recorded_at LIMIT batch) old
        WHERE e.agent_id = old.agent_id AND e.id = old.id;
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'audit' THEN
        DELETE FROM brokkr.audit a USING (
            SELECT o.at, o.id FROM brokkr.audit o WHERE o.at < cutoff ORDER BY o.at, o.id LIMIT batch) old
        WHERE a.at = old.at AND a.id = old.id;
        GET DIAGNOSTICS gone = ROW_COUNT;
    WHEN 'changes' THEN
        -- From the beginning of the feed only, so that what is kept has no gap.
        WITH first AS (
            SELECT o.epoch, o.transaction, o.sequence,
                bool_and(o.at < cutoff) OVER (ORDER BY o.epoch, o.transaction, o.sequence) AS old
            FROM (SELECT * FROM brokkr.change ORDER BY epoch, transaction, sequence LIMIT batch) o
        ), deleted AS (
            DELETE FROM brokkr.change c USING first f
            WHERE f.old AND (c.epoch, c.transaction, c.sequence) = (f.epoch, f.transaction, f.sequence)
            RETURNING c.epoch, c.transaction, c.sequence
        ), last AS (
            SELECT d.epoch, d.transaction, d.sequence FROM deleted d ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT 1
        )
        SELECT (SELECT count(*) FROM deleted), l.epoch, l.transaction, l.sequence
        INTO gone, last_epoch, last_transaction, last_sequence FROM last l;
        gone := coalesce(gone, 0);
        IF gone > 0 THEN
            UPDATE brokkr.feed_start SET epoch = last_epoch, transaction = last_transaction, sequence = last_sequence;
        END IF;
    END CASE;
    PERFORM set_config('brokkr.purging', 'off', true);
    IF gone > 0 THEN
        INSERT INTO brokkr.audit (id, at, actor, actor_text, action, request_id, outcome, detail, count)
        VALUES (gen_random_uuid(), clock_timestamp(), '{"kind": "system"}', 'system', 'purge.' || what, gen_random_uuid(),
            'success', gone || ' older than ' || to_char(cutoff AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 1);
    END IF;
    RETURN gone;
END
$$;
REVOKE EXECUTE ON FUNCTION brokkr.purge(text, interval, integer) FROM PUBLIC;
