-- What the holder of a key may do, who holds it, and from where.

ALTER TABLE brokkr.api_key
    ADD COLUMN subject text,
    -- Absent in rows that a broker without scopes writes during an update; they have the scopes below.
    ADD COLUMN scopes text[],
    ADD COLUMN source_networks text[] NOT NULL DEFAULT '{}';

-- The holder at the time of the attempt.
ALTER TABLE brokkr.audit ADD COLUMN subject text;

-- The scopes that equal the rights of keys from before there were scopes.
CREATE FUNCTION brokkr.scopes_before(owner jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE owner ->> 'kind'
        WHEN 'admin' THEN ARRAY['stacks:read', 'stacks:write', 'fleet:read', 'fleet:write', 'audit:read', 'keys',
            'rollouts:approve', 'environments:promote', 'break-glass', 'secrets:read', 'gate:*']
        WHEN 'admin-read-only' THEN ARRAY['stacks:read', 'fleet:read', 'audit:read']
        WHEN 'generator' THEN ARRAY['stacks:read', 'stacks:write']
        ELSE ARRAY['agent']
    END;

-- The versions stay: brokers of either version read the same key.
UPDATE brokkr.api_key SET scopes = brokkr.scopes_before(owner);
