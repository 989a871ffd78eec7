-- Rare nouns share a table: what a list needs has a column, the rest is in the body as JSON. A new noun of this sort needs no migration.
CREATE TABLE brokkr.document (
    id uuid PRIMARY KEY,
    -- As the feed names it.
    kind text NOT NULL,
    -- Whose row it is; absent for what belongs to admins only.
    generator_id uuid REFERENCES brokkr.generator,
    name brokkr.name,
    labels brokkr.map NOT NULL,
    body brokkr.map NOT NULL,
    version brokkr.version NOT NULL,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX document_name ON brokkr.document (kind, coalesce(generator_id, '00000000-0000-0000-0000-000000000000'), name)
    WHERE deleted_at IS NULL AND name IS NOT NULL;
CREATE INDEX document_living ON brokkr.document (kind, id) WHERE deleted_at IS NULL;

-- What the fleet views follow: everything but what comes with every report. So a new noun of the views needs no migration either.
DROP INDEX brokkr.change_of_view;
CREATE INDEX change_of_view ON brokkr.change (epoch, transaction) WHERE kind NOT IN ('agent-session', 'stack-status', 'event');

-- The rights once more, with the new table's.
CREATE OR REPLACE FUNCTION brokkr.grant_to(role text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA brokkr TO %I', role);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA brokkr FROM %I', role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA brokkr TO %I', role);
    -- What changes.
    EXECUTE format('GRANT INSERT, UPDATE ON brokkr.generator, brokkr.agent, brokkr.agent_session, brokkr.api_key, brokkr.stack,
        brokkr.target, brokkr.assignment, brokkr.stack_status, brokkr.document, brokkr.agent_activity, brokkr.key_activity,
        brokkr.lease TO %I', role);
    EXECUTE format('GRANT INSERT, DELETE ON brokkr.agent_registration TO %I', role);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON brokkr.idempotency TO %I', role);
    -- What never changes.
    EXECUTE format('GRANT INSERT ON brokkr.content, brokkr.deployment_object, brokkr.agent_event, brokkr.audit,
        brokkr.change, brokkr.history, brokkr.run TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION brokkr.place(), brokkr.purge(text, interval, integer) TO %I', role);
END
$$;
