-- Large answers to requests that may be repeated, once however many requests got the same. Small ones are in their row.
CREATE TABLE brokkr.idempotency_answer (
    digest brokkr.sha256 PRIMARY KEY,
    outcome jsonb NOT NULL,
    -- About when it was last recorded.
    at timestamptz NOT NULL
);
CREATE INDEX idempotency_answer_at ON brokkr.idempotency_answer (at);
-- With an answer, the outcome in the row is empty. A purge keeps an answer for longer than the rows, so no foreign key is needed.
ALTER TABLE brokkr.idempotency ADD COLUMN answer brokkr.sha256;

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
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON brokkr.agent_registration TO %I', role);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON brokkr.idempotency, brokkr.idempotency_answer TO %I', role);
    -- What never changes.
    EXECUTE format('GRANT INSERT ON brokkr.content, brokkr.deployment_object, brokkr.agent_event, brokkr.audit,
        brokkr.change, brokkr.history, brokkr.run TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION brokkr.place(), brokkr.purge(text, interval, integer) TO %I', role);
END
$$;
