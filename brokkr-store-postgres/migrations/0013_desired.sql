-- What decides the revision that an agent holds. Releases and pins are documents.

ALTER TABLE brokkr.stack
    ADD COLUMN release text NOT NULL DEFAULT 'immediate' CHECK (release IN ('immediate', 'gated')),
    -- Absent: not suspended.
    ADD COLUMN suspended jsonb,
    ADD COLUMN deletion_protection boolean NOT NULL DEFAULT false;
ALTER TABLE brokkr.agent ADD COLUMN suspended jsonb;

-- What a revision freezes besides its content. For revisions from before: as their stack says now.
ALTER TABLE brokkr.deployment_object
    ADD COLUMN policies brokkr.map NOT NULL DEFAULT '{}',
    ADD COLUMN depends_on uuid[] NOT NULL DEFAULT '{}';
ALTER TABLE brokkr.deployment_object DISABLE TRIGGER deployment_object_is_immutable;
UPDATE brokkr.deployment_object o SET policies = s.policies, depends_on = s.depends_on FROM brokkr.stack s WHERE s.id = o.stack_id;
ALTER TABLE brokkr.deployment_object ENABLE TRIGGER deployment_object_is_immutable;

-- Environments from before are not protected.
UPDATE brokkr.document SET body = body || '{"protected": false}' WHERE kind = 'environment';
