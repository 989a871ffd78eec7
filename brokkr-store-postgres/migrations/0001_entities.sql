-- What can change: one table per noun. Each row carries its entity's version; a row with deleted_at is a tombstone.
-- Everything is qualified: the host's own tables, and its search_path, are none of our business.

CREATE DOMAIN brokkr.sha256 AS text CHECK (VALUE ~ '^sha256:[0-9a-f]{64}$');
CREATE DOMAIN brokkr.name AS text CHECK (VALUE ~ '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$');
CREATE DOMAIN brokkr.version AS bigint CHECK (VALUE > 0);
CREATE DOMAIN brokkr.map AS jsonb CHECK (jsonb_typeof(VALUE) = 'object');
CREATE DOMAIN brokkr.list AS jsonb CHECK (jsonb_typeof(VALUE) = 'array');

CREATE TABLE brokkr.generator (
    id uuid PRIMARY KEY,
    name brokkr.name NOT NULL,
    description text NOT NULL,
    version brokkr.version NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX generator_name ON brokkr.generator (name) WHERE deleted_at IS NULL;

CREATE TABLE brokkr.agent (
    id uuid PRIMARY KEY,
    name brokkr.name NOT NULL,
    cluster_name text NOT NULL,
    labels brokkr.map NOT NULL,
    annotations brokkr.map NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'cordoned', 'retired')),
    confirmed_epoch uuid,
    version brokkr.version NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX agent_name ON brokkr.agent (name) WHERE deleted_at IS NULL;

-- The generators that an agent serves: the admin's consent.
CREATE TABLE brokkr.agent_registration (
    agent_id uuid NOT NULL REFERENCES brokkr.agent,
    generator_id uuid NOT NULL REFERENCES brokkr.generator,
    PRIMARY KEY (agent_id, generator_id)
);
CREATE INDEX agent_registration_generator ON brokkr.agent_registration (generator_id);

CREATE TABLE brokkr.agent_session (
    agent_id uuid PRIMARY KEY REFERENCES brokkr.agent,
    cluster_uid text NOT NULL,
    instance_id uuid NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 0),
    superseded uuid[] NOT NULL,
    capabilities text[] NOT NULL,
    unknown_stacks uuid[] NOT NULL,
    version brokkr.version NOT NULL,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE brokkr.api_key (
    id uuid PRIMARY KEY,
    short_id text NOT NULL CONSTRAINT api_key_short_id UNIQUE,
    -- Of the whole key; the secret itself is nowhere.
    hash brokkr.sha256 NOT NULL,
    name brokkr.name NOT NULL,
    owner brokkr.map NOT NULL CHECK (owner ->> 'kind' IN ('admin', 'admin-read-only', 'agent', 'generator')),
    agent_id uuid REFERENCES brokkr.agent GENERATED ALWAYS AS
        (CASE owner ->> 'kind' WHEN 'agent' THEN (owner ->> 'id')::uuid END) STORED,
    generator_id uuid REFERENCES brokkr.generator GENERATED ALWAYS AS
        (CASE owner ->> 'kind' WHEN 'generator' THEN (owner ->> 'id')::uuid END) STORED,
    expires_at timestamptz,
    version brokkr.version NOT NULL,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX api_key_owner ON brokkr.api_key (((owner)::jsonb), id) WHERE deleted_at IS NULL;

CREATE TABLE brokkr.stack (
    id uuid PRIMARY KEY,
    generator_id uuid NOT NULL REFERENCES brokkr.generator,
    name brokkr.name NOT NULL,
    description text NOT NULL,
    labels brokkr.map NOT NULL,
    annotations brokkr.map NOT NULL,
    targeting jsonb,
    policies brokkr.map NOT NULL,
    depends_on uuid[] NOT NULL,
    phase text NOT NULL CHECK (phase IN ('active', 'deleting')),
    version brokkr.version NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX stack_name ON brokkr.stack (generator_id, name) WHERE deleted_at IS NULL;
CREATE INDEX stack_living ON brokkr.stack (generator_id, id) WHERE deleted_at IS NULL;

-- Content by digest: stored once, however many revisions of however many stacks have it. TOAST compresses it.
CREATE TABLE brokkr.content (
    digest brokkr.sha256 PRIMARY KEY,
    bytes bytea NOT NULL
);

CREATE TABLE brokkr.deployment_object (
    id uuid PRIMARY KEY,
    stack_id uuid NOT NULL REFERENCES brokkr.stack,
    generator_id uuid NOT NULL REFERENCES brokkr.generator,
    revision brokkr.version NOT NULL,
    digest brokkr.sha256 NOT NULL REFERENCES brokkr.content,
    size bigint NOT NULL CHECK (size >= 0),
    object_count integer NOT NULL CHECK (object_count >= 0),
    message text NOT NULL,
    provenance brokkr.map NOT NULL,
    warnings text[] NOT NULL,
    created_by brokkr.map NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT deployment_object_revision UNIQUE (stack_id, revision)
);

CREATE TABLE brokkr.target (
    stack_id uuid NOT NULL REFERENCES brokkr.stack,
    agent_id uuid NOT NULL REFERENCES brokkr.agent,
    generator_id uuid NOT NULL REFERENCES brokkr.generator,
    created_by brokkr.map NOT NULL,
    version brokkr.version NOT NULL,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (stack_id, agent_id)
);

CREATE TABLE brokkr.assignment (
    stack_id uuid NOT NULL REFERENCES brokkr.stack,
    agent_id uuid NOT NULL REFERENCES brokkr.agent,
    generator_id uuid NOT NULL REFERENCES brokkr.generator,
    state text NOT NULL CHECK (state IN ('listed', 'withdrawn', 'gone', 'abandoned')),
    version brokkr.version NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (stack_id, agent_id)
);

CREATE TABLE brokkr.stack_status (
    stack_id uuid NOT NULL REFERENCES brokkr.stack,
    agent_id uuid NOT NULL REFERENCES brokkr.agent,
    generator_id uuid NOT NULL REFERENCES brokkr.generator,
    observed_revision brokkr.version,
    applied_revision brokkr.version,
    conditions brokkr.list NOT NULL,
    health text NOT NULL CHECK (health IN ('unknown', 'progressing', 'healthy', 'degraded', 'suspended')),
    attempts bigint NOT NULL CHECK (attempts >= 0),
    last_error jsonb,
    retained brokkr.list NOT NULL,
    last_outcome jsonb,
    version brokkr.version NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (stack_id, agent_id)
);

-- Whether labels fit a selector, with the semantics of Kubernetes: all requirements hold.
CREATE FUNCTION brokkr.labels_fit(labels jsonb, requirements jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN NOT EXISTS (
        SELECT FROM jsonb_to_recordset(requirements) AS r (key text, operator text, "values" text[])
        WHERE NOT CASE r.operator
            WHEN 'In' THEN coalesce(labels ->> r.key = ANY (r."values"), false)
            WHEN 'NotIn' THEN coalesce(labels ->> r.key <> ALL (r."values"), true)
            WHEN 'Exists' THEN labels -> r.key IS NOT NULL
            WHEN 'DoesNotExist' THEN labels -> r.key IS NULL
            ELSE false
        END
    );
