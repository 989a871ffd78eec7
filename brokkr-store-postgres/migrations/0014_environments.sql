-- The environment that an agent is in, and the environments to which generators and keys are limited; absent: not limited.
ALTER TABLE brokkr.agent ADD COLUMN environment brokkr.name;
ALTER TABLE brokkr.generator ADD COLUMN environments text[];
ALTER TABLE brokkr.api_key ADD COLUMN environments text[];

-- Agents that joined with a token have only the label until now. The versions stay: brokers of either version read the same agent.
UPDATE brokkr.agent t SET environment = t.labels ->> 'brokkr.io/environment'
    WHERE t.deleted_at IS NULL AND EXISTS (SELECT FROM brokkr.document d WHERE d.kind = 'environment' AND d.deleted_at IS NULL
        AND d.name = t.labels ->> 'brokkr.io/environment');

CREATE INDEX agent_environment ON brokkr.agent (environment, id) WHERE deleted_at IS NULL;
