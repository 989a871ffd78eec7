-- What a broker's role may do. Called by the migration after every step, so that new tables get their rights too.

CREATE FUNCTION brokkr.grant_to(role text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA brokkr TO %I', role);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA brokkr FROM %I', role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA brokkr TO %I', role);
    -- What changes.
    EXECUTE format('GRANT INSERT, UPDATE ON brokkr.generator, brokkr.agent, brokkr.agent_session, brokkr.api_key, brokkr.stack,
        brokkr.target, brokkr.assignment, brokkr.stack_status, brokkr.agent_activity, brokkr.key_activity, brokkr.lease TO %I', role);
    EXECUTE format('GRANT INSERT, DELETE ON brokkr.agent_registration TO %I', role);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON brokkr.idempotency TO %I', role);
    -- What never changes.
    EXECUTE format('GRANT INSERT ON brokkr.content, brokkr.deployment_object, brokkr.agent_event, brokkr.audit,
        brokkr.change, brokkr.history TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION brokkr.place(), brokkr.purge(text, interval, integer) TO %I', role);
END
$$;
REVOKE EXECUTE ON FUNCTION brokkr.grant_to(text) FROM PUBLIC;
