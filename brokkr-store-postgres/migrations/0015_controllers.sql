-- What controllers need: notes of the holders of leases, the end of stacks, and assignments whose loss is decided.

ALTER TABLE brokkr.lease ADD COLUMN note jsonb;

ALTER TABLE brokkr.stack
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN expiry_announced_at timestamptz;

ALTER TABLE brokkr.assignment DROP CONSTRAINT assignment_state_check;
ALTER TABLE brokkr.assignment ADD CONSTRAINT assignment_state_check
    CHECK (state IN ('listed', 'lost', 'withdrawn', 'gone', 'abandoned')) NOT VALID;
ALTER TABLE brokkr.assignment VALIDATE CONSTRAINT assignment_state_check;
