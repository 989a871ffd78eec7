//! Every SQL statement, checked by the server.

use brokkr_store_postgres::statements;

use crate::support::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_can_be_prepared() {
    let database = Database::new();
    let statements = statements();
    assert!(statements.len() > 70, "{}", statements.len());
    // PREPARE accepts only queries and changes of rows, so not the statement that begins a transaction.
    for (_, sql) in statements.iter().filter(|(name, _)| !name.ends_with("SNAPSHOT_BEGIN")) {
        database.query(&format!("PREPARE p AS {sql}"));
    }
}

/// The statements of requests, polls and followers. None may scan a table that grows.
const HOT: [&str; 31] = [
    "agent::CAPABILITIES",
    "agent::SESSION",
    "assignment::FIND",
    "assignment::OF_STACK",
    "deployment_object::BY_REVISION",
    "deployment_object::CONTENT",
    "deployment_object::LATEST",
    "deployment_object::LIST",
    "entity::GET_AGENT",
    "entity::GET_DEPLOYMENT_OBJECT",
    "entity::GET_DOCUMENT",
    "entity::GET_GENERATOR",
    "entity::GET_KEY",
    "entity::GET_STACK",
    "entity::LIST_AGENTS",
    "entity::LIST_AGENTS_OF_ENVIRONMENT",
    "entity::LIST_DOCUMENTS",
    "entity::LIST_STACKS",
    "event::KNOWN",
    "event::LIST",
    "event::LIST_OF_ENVIRONMENT",
    "feed::READ",
    "key::LIST",
    "read::audit::LIST",
    "stack::BY_NAME",
    "stack::FIND",
    "stack_status::FIND",
    "stack_status::OF_STACK",
    "stack_status::PROGRESS",
    "target::FIND",
    "view::TAIL_SINCE",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_statements_read_by_index() {
    let database = Database::new();
    fill(&database);
    let statements = statements();
    for hot in HOT {
        let found: Vec<_> = statements.iter().filter(|(name, _)| name.ends_with(hot)).collect();
        let [(name, sql)] = found[..] else { panic!("{hot} is not one statement") };
        // The generic plan, as for a prepared statement. System tables are small.
        let parameters = (1..=20).take_while(|n| sql.contains(&format!("${n}"))).count();
        let values = vec!["NULL"; parameters].join(", ");
        let plan = database.query(&format!(
            "SET plan_cache_mode = force_generic_plan; PREPARE p AS {sql}; EXPLAIN EXECUTE p({values})"
        ));
        let large: Vec<&str> = scanned_tables(&plan).filter(|table| !SMALL.contains(table)).collect();
        assert_eq!(large, Vec::<&str>::new(), "{name} reads a whole table:\n{plan}");
    }
}

/// Tables that stay small, so a scan is as fast as an index.
const SMALL: [&str; 4] = ["history", "feed_start", "generator", "run"];

/// The tables that a plan reads from start to end. A line is `Seq Scan on TABLE`, with an alias and costs.
fn scanned_tables(plan: &str) -> impl Iterator<Item = &str> {
    plan.lines().filter_map(|line| line.split_once("Seq Scan on ")?.1.split_whitespace().next())
}

/// Inserts enough rows that the planner prefers indexes.
fn fill(database: &Database) {
    for statement in [
        "INSERT INTO brokkr.generator SELECT gen_random_uuid(), 'g' || n, '', 1, now(), now() FROM generate_series(1, 20) n",
        "INSERT INTO brokkr.agent SELECT gen_random_uuid(), 'a' || n, '', '{}', '{}', 'active', NULL, 1, now(), now()
         FROM generate_series(1, 3000) n",
        "INSERT INTO brokkr.agent_registration SELECT a.id, g.id FROM brokkr.agent a, (SELECT id FROM brokkr.generator LIMIT 3) g",
        "INSERT INTO brokkr.agent_session SELECT id, 'uid', id, 1, '{}', '{}', '{}', 1, now(), now() FROM brokkr.agent",
        "INSERT INTO brokkr.api_key (id, short_id, hash, name, owner, version, created_at)
         SELECT gen_random_uuid(), 's' || row_number() OVER (), 'sha256:' || repeat('0', 64), 'k',
            jsonb_build_object('kind', 'agent', 'id', id), 1, now() FROM brokkr.agent",
        "INSERT INTO brokkr.stack SELECT gen_random_uuid(), g.id, 's' || n, '', '{}', '{}', NULL, '{}', '{}', 'active', 1, now(), now()
         FROM (SELECT id FROM brokkr.generator LIMIT 3) g, generate_series(1, 1000) n",
        "INSERT INTO brokkr.content SELECT 'sha256:' || encode(sha256(n::text::bytea), 'hex'), '' FROM generate_series(1, 3000) n",
        "INSERT INTO brokkr.deployment_object SELECT gen_random_uuid(), s.id, s.generator_id, n, 'sha256:' || encode(sha256('1'), 'hex'),
            0, 1, '', '{}', '{}', '{}', now() FROM brokkr.stack s, generate_series(1, 3) n",
        "INSERT INTO brokkr.target SELECT s.id, a.id, s.generator_id, '{}', 1, now()
         FROM brokkr.stack s, (SELECT id FROM brokkr.agent LIMIT 5) a",
        "INSERT INTO brokkr.assignment SELECT stack_id, agent_id, generator_id, 'listed', 1, now(), now() FROM brokkr.target",
        "INSERT INTO brokkr.stack_status SELECT stack_id, agent_id, generator_id, NULL, NULL, '[]', 'unknown', 0, NULL, '[]', NULL, 1, now()
         FROM brokkr.target",
        "INSERT INTO brokkr.agent_event SELECT gen_random_uuid(), agent_id, stack_id, generator_id, NULL, 1, 'apply', 'success', '', '',
            '[]', '[]', now(), now(), now() - make_interval(secs => row_number() OVER ()) FROM brokkr.target",
        "INSERT INTO brokkr.audit SELECT gen_random_uuid(), now() - make_interval(secs => n), '{}', 'system', 'a', NULL, NULL,
            gen_random_uuid(), NULL, 'success', NULL, 1 FROM generate_series(1, 20000) n",
        "INSERT INTO brokkr.change SELECT 1, n::text::xid8, 1, 'stack', NULL, now(), '{}', gen_random_uuid(), '{}'
         FROM generate_series(1, 20000) n",
        "INSERT INTO brokkr.document SELECT gen_random_uuid(), 'environment', NULL, 'e' || n, '{}', '{}', 1, NULL
         FROM generate_series(1, 3000) n",
        "ANALYZE",
    ] {
        database.query(statement);
    }
}
