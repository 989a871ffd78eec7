-- What a generator's stacks may contain on an agent. Registrations from before, and those of brokers of the previous version, have the
-- grant "unrestricted", as until now.
ALTER TABLE brokkr.agent_registration ADD COLUMN grant_id uuid NOT NULL DEFAULT '00000000-0000-7000-8000-000000000004';

-- The same in the feed.
UPDATE brokkr.change SET entity = entity - 'generator_ids' || jsonb_build_object('registrations',
    (SELECT coalesce(jsonb_object_agg(g.id, '00000000-0000-7000-8000-000000000004'), '{}')
        FROM jsonb_array_elements_text(entity -> 'generator_ids') g (id)))
    WHERE kind = 'agent' AND entity ? 'generator_ids';

-- The rights once more: a registration can now change.
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
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON brokkr.idempotency TO %I', role);
    -- What never changes.
    EXECUTE format('GRANT INSERT ON brokkr.content, brokkr.deployment_object, brokkr.agent_event, brokkr.audit,
        brokkr.change, brokkr.history, brokkr.run TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION brokkr.place(), brokkr.purge(text, interval, integer) TO %I', role);
END
$$;
