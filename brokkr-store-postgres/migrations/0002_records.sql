-- What never changes: events, the audit, and the changes themselves. Only the purge deletes from them.

CREATE TABLE brokkr.agent_event (
    id uuid NOT NULL,
    agent_id uuid NOT NULL REFERENCES brokkr.agent,
    stack_id uuid NOT NULL REFERENCES brokkr.stack,
    generator_id uuid NOT NULL REFERENCES brokkr.generator,
    -- As the agent says; it need not exist.
    object_id uuid,
    revision brokkr.version,
    action text NOT NULL CHECK (action IN ('apply', 'remove')),
    outcome text NOT NULL CHECK (outcome IN ('success', 'failure')),
    reason text NOT NULL,
    message text NOT NULL,
    objects brokkr.list NOT NULL,
    retained brokkr.list NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (agent_id, id)
);
CREATE INDEX agent_event_recorded ON brokkr.agent_event (recorded_at, id);
CREATE INDEX agent_event_of_agent ON brokkr.agent_event (agent_id, recorded_at, id);
CREATE INDEX agent_event_of_stack ON brokkr.agent_event (stack_id, recorded_at, id);
CREATE INDEX agent_event_of_generator ON brokkr.agent_event (generator_id, recorded_at, id);

CREATE TABLE brokkr.audit (
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor brokkr.map NOT NULL,
    -- The form that filters take.
    actor_text text NOT NULL,
    action text NOT NULL,
    object_kind text,
    object_id text,
    request_id uuid NOT NULL,
    source text,
    outcome text NOT NULL CHECK (outcome IN ('success', 'denied', 'failed')),
    detail text,
    count bigint NOT NULL CHECK (count > 0),
    PRIMARY KEY (at, id)
);
CREATE INDEX audit_object ON brokkr.audit (object_id, at, id) WHERE object_id IS NOT NULL;
CREATE INDEX audit_actor ON brokkr.audit (actor_text, at, id);
CREATE INDEX audit_request ON brokkr.audit (request_id);

-- The feed: every change of every commit, with the state of its entity after it.
CREATE TABLE brokkr.change (
    -- Counts restarts of the numbering of transactions; see brokkr.history.
    epoch integer NOT NULL,
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    sequence integer NOT NULL,
    kind text NOT NULL,
    -- Whose row it is; absent for what belongs to admins only.
    generator_id uuid,
    at timestamptz NOT NULL,
    actor brokkr.map NOT NULL,
    request_id uuid NOT NULL,
    entity brokkr.map NOT NULL,
    PRIMARY KEY (epoch, transaction, sequence)
);
-- What the fleet views follow.
CREATE INDEX change_of_view ON brokkr.change (epoch, transaction)
    WHERE kind IN ('generator', 'key', 'agent', 'stack', 'deployment-object', 'target', 'assignment');
CREATE INDEX change_at ON brokkr.change (at);

-- Changes at or before this position are no longer kept.
CREATE TABLE brokkr.feed_start (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch integer NOT NULL,
    transaction xid8 NOT NULL,
    sequence integer NOT NULL
);
INSERT INTO brokkr.feed_start (epoch, transaction, sequence) VALUES (0, '0', 0);

-- Immutability by trigger, on top of rights: also the owner does not change history by mistake.
CREATE FUNCTION brokkr.refuse_change() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('brokkr.purging', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

DO $$
DECLARE
    immutable text;
BEGIN
    FOREACH immutable IN ARRAY ARRAY['content', 'deployment_object', 'agent_event', 'audit', 'change'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON brokkr.%I FOR EACH ROW EXECUTE FUNCTION brokkr.refuse_change()',
            immutable || '_is_immutable', immutable);
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON brokkr.%I FOR EACH STATEMENT EXECUTE FUNCTION brokkr.refuse_change()',
            immutable || '_is_not_truncated', immutable);
    END LOOP;
END
$$;
