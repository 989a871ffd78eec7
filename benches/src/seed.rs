//! Large databases, filled by SQL.

use crate::Result;
use crate::fixture::Database;

/// Adds old revisions of one stack and old events of one agent.
pub(crate) fn history(database: &Database, revisions: u32, events: u32) -> Result<()> {
    database.query(&format!(
        "INSERT INTO brokkr.deployment_object (id, stack_id, generator_id, revision, digest, size, object_count, message,
            provenance, warnings, created_by, created_at)
         SELECT gen_random_uuid(), s.stack_id, s.generator_id, s.revision + n, s.digest, s.size, 1, '', s.provenance, '{{}}',
            s.created_by, now() - interval '30 days'
         FROM (SELECT * FROM brokkr.deployment_object ORDER BY revision DESC LIMIT 1) s, generate_series(1, {revisions}) n"
    ))?;
    database.query(&format!(
        "INSERT INTO brokkr.agent_event (id, agent_id, stack_id, generator_id, revision, action, outcome, reason, message, objects,
            retained, started_at, finished_at, recorded_at)
         SELECT gen_random_uuid(), a.id, s.id, s.generator_id, 1, 'apply', 'success', 'Applied', '', '[]', '[]', t.at, t.at, t.at
         FROM (SELECT id FROM brokkr.agent LIMIT 1) a, (SELECT id, generator_id FROM brokkr.stack LIMIT 1) s,
            (SELECT now() - interval '30 days' + make_interval(secs => n) AS at FROM generate_series(1, {events}) n) t"
    ))?;
    // Vacuum now, so that autovacuum does not run during the measurement.
    for upkeep in ["VACUUM ANALYZE", "CHECKPOINT"] {
        database.query(upkeep)?;
    }
    Ok(())
}

/// Adds agents, stacks with content, and targets of each stack on some of the agents.
pub(crate) fn fleet(database: &Database, agents: u32, stacks: u32, per_stack: u32) -> Result<()> {
    let system = "'00000000-0000-7000-8000-000000000001'::uuid";
    for statement in [
        format!(
            "INSERT INTO brokkr.agent (id, name, cluster_name, labels, annotations, status, version, created_at, updated_at)
             SELECT md5('agent' || n)::uuid, 'agent-' || n, '', '{{}}', '{{}}', 'active', 1, now(), now()
             FROM generate_series(0, {agents} - 1) n"
        ),
        format!(
            "INSERT INTO brokkr.agent_registration (agent_id, generator_id)
             SELECT md5('agent' || n)::uuid, {system} FROM generate_series(0, {agents} - 1) n"
        ),
        format!(
            "INSERT INTO brokkr.stack (id, generator_id, name, description, labels, annotations, targeting, policies, depends_on, phase,
                version, created_at, updated_at)
             SELECT md5('stack' || n)::uuid, {system}, 'stack-' || n, '', '{{}}', '{{}}', '{{}}',
                p.policies, '{{}}', 'active', 1, now(), now()
             FROM generate_series(0, {stacks} - 1) n, (SELECT policies FROM brokkr.stack LIMIT 1) p"
        ),
        format!(
            "INSERT INTO brokkr.deployment_object (id, stack_id, generator_id, revision, digest, size, object_count, message,
                provenance, warnings, created_by, created_at)
             SELECT gen_random_uuid(), md5('stack' || n)::uuid, {system}, 1, o.digest, o.size, 1, '', o.provenance, '{{}}',
                o.created_by, now()
             FROM generate_series(0, {stacks} - 1) n, (SELECT * FROM brokkr.deployment_object LIMIT 1) o"
        ),
        format!(
            "INSERT INTO brokkr.target (stack_id, agent_id, generator_id, created_by, version, created_at)
             SELECT md5('stack' || n)::uuid, md5('agent' || ((n + m * 7) % {agents}))::uuid, {system}, '{{\"kind\": \"system\"}}', 1,
                now()
             FROM generate_series(0, {stacks} - 1) n, generate_series(0, {per_stack} - 1) m"
        ),
        format!(
            "INSERT INTO brokkr.assignment (stack_id, agent_id, generator_id, state, version, created_at, updated_at)
             SELECT stack_id, agent_id, {system}, 'listed', 1, now(), now() FROM brokkr.target t
             WHERE NOT EXISTS (SELECT FROM brokkr.assignment a WHERE a.stack_id = t.stack_id AND a.agent_id = t.agent_id)"
        ),
        "ANALYZE".to_owned(),
    ] {
        database.query(&statement)?;
    }
    Ok(())
}
