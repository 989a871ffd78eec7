-- What is not state: where history stands, telemetry, leases.

-- Histories. A new row begins when what is here may have forked from what others have seen: the newest row counts.
CREATE TABLE brokkr.history (
    number integer PRIMARY KEY,
    epoch uuid NOT NULL UNIQUE,
    -- Where the data lives: system identifier, timeline, and the identities of database and table. A restored copy
    -- lives elsewhere.
    place text NOT NULL,
    reason text NOT NULL,
    began_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
    began_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION brokkr.place() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
        SELECT concat_ws('/',
            (SELECT system_identifier FROM pg_control_system()),
            left(pg_walfile_name(pg_current_wal_lsn()), 8),
            (SELECT oid FROM pg_database WHERE datname = current_database()),
            'brokkr.history'::regclass::oid)
    $$;

-- Shared by all brokers on this data: what one signs, such as a cursor, the others can check.
CREATE TABLE brokkr.secret (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    secret bytea NOT NULL CHECK (length(secret) = 32)
);
INSERT INTO brokkr.secret (secret) VALUES (
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- The answers to requests that may be repeated, for a day.
CREATE TABLE brokkr.idempotency (
    actor text NOT NULL,
    key text NOT NULL,
    fingerprint brokkr.sha256 NOT NULL,
    outcome jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_at ON brokkr.idempotency (at);

-- Telemetry: written in batches, part of no commit.
CREATE TABLE brokkr.agent_activity (
    agent_id uuid PRIMARY KEY REFERENCES brokkr.agent,
    seen_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE brokkr.key_activity (
    key_id uuid PRIMARY KEY REFERENCES brokkr.api_key,
    used_at timestamptz NOT NULL
) WITH (fillfactor = 70);
