//! Publications through the store and through HTTP, beside pgbench with the same inserts; and the size of an assignment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brokkr_control::{Broker, Content, NewAgent, Origin};
use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::{
    ActorRef, AuditId, AuditOutcome, AuditRecord, Change, DeploymentObject, DeploymentObjectId, Digest, EntityKey,
    EntityKind, EventAction, EventId, EventOutcome, InstanceId, Provenance, RequestId, Revision, Stack, StackSpec,
};
use brokkr_core::protocol::{EventReport, PollRequest, Report, StatusReport};
use brokkr_core::store::conformance::sample;
use brokkr_core::store::{Commit, Precondition, Store};
use brokkr_testbed::text_at;
use http::Method;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::fixture::Database;
use crate::http_load::load;
use crate::{Result, figure};

const CLIENTS: usize = 32;
const CONNECTIONS: usize = 64;
const DURING: Duration = Duration::from_secs(8);
const ROUNDS: usize = 3;

pub(crate) async fn run() -> Result<()> {
    let database = Database::start().await?;
    let broker = database.broker(20)?;
    let store: Arc<dyn Store> = Arc::new(database.store(CLIENTS as u32).await?);
    let (mut through_store, mut through_http) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let bare = pgbench(&database).await?;
        let ours = commits(&store, round).await?;
        let http = posts(&broker, round).await?;
        println!("per second: pgbench {bare:.0}, Store::commit {ours:.0}, HTTP {http:.0}");
        through_store.push(ours / bare);
        through_http.push(http / bare);
    }
    for (name, mut ratios) in [("publish_vs_pgbench", through_store), ("publish_http_vs_pgbench", through_http)] {
        ratios.sort_by(f64::total_cmp);
        figure(name, ratios.get(ratios.len() / 2).copied().unwrap_or_default());
    }
    assignments(&database).await
}

/// The inserts of a publication, in order.
const SCRIPT: &str = r#"
BEGIN;
INSERT INTO brokkr.content (digest, bytes) VALUES ('sha256:' || encode(sha256(gen_random_uuid()::text::bytea), 'hex'), decode(repeat('ab', 150), 'hex')) RETURNING digest \gset
INSERT INTO brokkr.deployment_object (id, stack_id, generator_id, revision, digest, size, object_count, message, provenance, warnings, created_by, created_at) SELECT gen_random_uuid(), s.id, s.generator_id, nextval('brokkr.bench_revision'), :digest, 150, 1, '', '{"kind": "published"}', '{}', '{"kind": "system"}', now() FROM brokkr.stack s WHERE s.name = 'bench-' || :client_id;
INSERT INTO brokkr.audit (id, at, actor, actor_text, action, object_kind, object_id, request_id, outcome, detail, count) VALUES (gen_random_uuid(), now(), '{"kind": "system"}', 'system', 'deployment-object.publish', 'stack', gen_random_uuid()::text, gen_random_uuid(), 'success', 'revision 1', 1);
INSERT INTO brokkr.change (epoch, sequence, kind, generator_id, at, actor, request_id, entity) VALUES (1, 1, 'deployment-object', '00000000-0000-7000-8000-000000000001', now(), '{"kind": "system"}', gen_random_uuid(), '{"id": "01a1fcd4-803a-75bf-9d5b-27edfd6611d6", "stack_id": "01a1fcd4-803a-75bf-9d5b-27edfd6611d6", "generator_id": "00000000-0000-7000-8000-000000000001", "revision": 1, "digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000", "size": 150, "object_count": 1, "message": "", "provenance": {"kind": "published"}, "warnings": [], "created_by": {"kind": "system"}, "created_at": "2026-01-01T00:00:00Z"}');
END;
"#;

/// Measures the transactions per second of pgbench.
async fn pgbench(database: &Database) -> Result<f64> {
    database.query("CREATE SEQUENCE IF NOT EXISTS brokkr.bench_revision START 1000000")?;
    database.query("GRANT USAGE ON SEQUENCE brokkr.bench_revision TO brokkr_broker")?;
    database.query(&format!(
        "INSERT INTO brokkr.stack (id, generator_id, name, description, labels, annotations, policies, depends_on, phase, version, created_at, updated_at)
         SELECT gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 'bench-' || n, '', '{{}}', '{{}}', '{{}}', '{{}}', 'deleting', 1, now(), now()
         FROM generate_series(0, {CLIENTS} - 1) n
         WHERE NOT EXISTS (SELECT FROM brokkr.stack WHERE name = 'bench-0')"
    ))?;
    let script = database.folder.path().join("publish.sql");
    std::fs::write(&script, SCRIPT)?;
    let (clients, seconds) = (CLIENTS.to_string(), DURING.as_secs().to_string());
    let script = script.display().to_string();
    let url = database.url();
    let args = ["-n", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-f", &script, &url];
    let (program, args) = database.server.command("pgbench", &args).map_err(crate::fixture::text)?;
    let output = tokio::process::Command::new(program).args(args).current_dir("/").output().await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.ok_or_else(|| format!("pgbench failed: {said}{}", String::from_utf8_lossy(&output.stderr)).into())
}

/// The commit of a publication.
fn publication(stack: &Stack, revision: u64) -> Commit {
    let at = SystemClock.now();
    let content = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"c\"}},\"data\":{{\"n\":\"{}-{revision}\",\"padding\":\"xxxxxxxxxxxxxxxxxxxx\"}}}}\n",
        stack.id
    );
    let digest = Digest::of(content.as_bytes());
    let object = DeploymentObject {
        id: DeploymentObjectId::generate(),
        stack_id: stack.id,
        generator_id: stack.generator_id,
        revision: Revision::new(revision),
        digest,
        size: content.len() as u64,
        object_count: 1,
        message: String::new(),
        provenance: Provenance::Published,
        policies: stack.policies.clone(),
        depends_on: Vec::new(),
        warnings: Vec::new(),
        created_by: ActorRef::System,
        created_at: at,
    };
    let request_id = RequestId::generate();
    let audit = AuditRecord {
        id: AuditId::generate(),
        at,
        actor: ActorRef::System,
        subject: None,
        action: "deployment-object.publish".to_owned(),
        object_kind: Some(EntityKind::Stack),
        object_id: Some(stack.id.to_string()),
        request_id,
        source: None,
        outcome: AuditOutcome::Success,
        detail: Some(format!("revision {revision} {digest}")),
        changes: None,
        count: 1,
    };
    Commit {
        actor: ActorRef::System,
        request_id,
        at,
        preconditions: vec![Precondition::Version(EntityKey::Stack(stack.id), stack.version)],
        changes: vec![Change::DeploymentObject(object)],
        idempotency: None,
        contents: [(digest, content.into())].into(),
        audit: vec![audit],
    }
}

/// Measures publications per second through the store.
async fn commits(store: &Arc<dyn Store>, round: usize) -> Result<f64> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let stack = sample::stack(&format!("commit-{round}-{client}"));
        let create = Commit {
            changes: vec![Change::Stack(stack.clone())],
            contents: Default::default(),
            preconditions: Vec::new(),
            ..publication(&stack, 1)
        };
        store.commit(create).await?;
        let (store, stop) = (store.clone(), stop.clone());
        clients.push(tokio::spawn(async move {
            let mut revision = 0;
            while !stop.load(Ordering::Relaxed) {
                revision += 1;
                store.commit(publication(&stack, revision)).await?;
            }
            Ok::<_, brokkr_core::store::StoreError>(revision)
        }));
    }
    let began = Instant::now();
    tokio::time::sleep(DURING).await;
    stop.store(true, Ordering::Relaxed);
    let mut done = 0;
    for client in clients {
        done += client.await??;
    }
    Ok(done as f64 / began.elapsed().as_secs_f64())
}

/// Measures publications per second through HTTP.
async fn posts(broker: &crate::fixture::Broker, round: usize) -> Result<f64> {
    let admin = broker.admin()?.to_owned();
    let mut stacks = Vec::new();
    for number in 0..CONNECTIONS {
        let body = json!({"name": format!("post-{round}-{number}")});
        let stack = broker.call(&admin, Method::POST, "/stacks", Some(&body)).await?;
        stacks.push(text_at(&stack, "/id")?.to_owned());
    }
    let request = move |connection: usize, number: u64| {
        let stack = stacks.get(connection).map(String::as_str).unwrap_or_default();
        let body = format!(
            r#"{{"manifests":[{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c"}},"data":{{"n":"{stack}-{number}","padding":"xxxxxxxxxxxxxxxxxxxx"}}}}]}}"#
        );
        let head = format!(
            "POST /api/v1/stacks/{stack}/deployment-objects HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer {admin}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        (head + &body).into_bytes()
    };
    let load = load(&broker.address, CONNECTIONS, DURING, 201, request).await?;
    if load.failed > 0 {
        return Err(format!("{} requests failed", load.failed).into());
    }
    Ok(load.per_second)
}

/// Measures the rows and bytes in the database for one stack of 100 objects on 1,000 agents.
async fn assignments(database: &Database) -> Result<()> {
    const AGENTS: usize = 1_000;
    let broker = Broker::builder(Arc::new(database.store(10).await?)).start().await?;
    let system = broker.system_actor();
    let stack = broker.stack_create(&system, None, StackSpec::named("wide")).await?;
    let object = |n| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{n}")}, "data": {"key": "x".repeat(500)}});
    let content = Content::Documents { documents: (0..100).map(object).collect(), message: String::new() };
    let published = broker.publish(&system, stack.id, content).await?;
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let new = NewAgent { name: format!("wide-{number}"), ..NewAgent::default() };
        let (agent, pak) = broker.agent_create(&system, new).await?;
        let pak = pak.pak.ok_or("no key")?;
        agents.push((agent.id, broker.authenticate(pak.expose_secret(), Origin::in_process())?));
    }
    let started = measure(database)?;
    for (agent, _) in &agents {
        broker.target_set(&system, stack.id, *agent).await?;
    }
    let targeted = measure(database)?;
    for (agent, actor) in &agents {
        broker.target_state(actor, *agent, PollRequest::default()).await?;
    }
    let listed = measure(database)?;
    let sequence = AtomicU64::new(0);
    for (agent, actor) in &agents {
        let now = published.object.created_at;
        let report = Report {
            instance_id: InstanceId::generate(),
            sequence: sequence.fetch_add(1, Ordering::Relaxed) + 1,
            cluster_uid: "cluster".to_owned(),
            held: None,
            events: vec![EventReport {
                id: EventId::generate(),
                stack_id: stack.id,
                object_id: Some(published.object.id),
                revision: Some(published.object.revision),
                action: EventAction::Apply,
                outcome: EventOutcome::Success,
                reason: "Applied".to_owned(),
                message: String::new(),
                objects: Vec::new(),
                retained: Vec::new(),
                started_at: now,
                finished_at: now,
            }],
            status: vec![StatusReport {
                stack_id: stack.id,
                observed_revision: Some(published.object.revision),
                applied_revision: Some(published.object.revision),
                conditions: Vec::new(),
                health: Default::default(),
                attempts: 0,
            }],
            capabilities: None,
        };
        broker.report(actor, *agent, &report).await?;
    }
    let reported = measure(database)?;
    for (name, (before, after)) in
        [("target", (started, targeted)), ("listing", (targeted, listed)), ("report", (listed, reported))]
    {
        figure(&format!("rows_per_assignment_{name}"), (after.0 - before.0) / AGENTS as f64);
        figure(&format!("bytes_per_assignment_{name}"), (after.1 - before.1) / AGENTS as f64);
    }
    let copies =
        database.query(&format!("SELECT count(*) FROM brokkr.content WHERE digest = '{}'", published.object.digest))?;
    figure("copies_of_the_content", copies.parse()?);
    broker.shutdown().await;
    Ok(())
}

/// Rows and bytes of the whole schema, including indexes.
fn measure(database: &Database) -> Result<(f64, f64)> {
    let tables =
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'brokkr' AND c.relkind = 'r'";
    let rows = database.query(&format!(
        "SELECT sum((xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM brokkr.%I', c.relname), false, true, '')))[1]::text::bigint) {tables}"
    ))?;
    let bytes = database.query(&format!("SELECT sum(pg_total_relation_size(c.oid)) {tables}"))?;
    Ok((rows.parse()?, bytes.parse()?))
}
