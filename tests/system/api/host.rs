//! A host's own routes and parts, and the shutdown of its server.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use axum::routing::{get, post};
use brokkr_control::generate::{GenerateContext, GenerateError, Generator, Manifests};
use brokkr_control::{Broker, BrokerError, NewAgent, NewGenerator, Origin};
use brokkr_core::model::{AuditOutcome, StackSpec, TargetingRule};
use brokkr_core::store::{AuditFilter, AuditReader as _, MemoryStore, Page, Scope};
use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};
use brokkr_http::server::{ApiLayer, ApiPath, Caller, Problem, Server};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

/// A host's state, which contains the broker.
#[derive(Clone)]
struct Host {
    broker: Broker,
}

impl FromRef<Host> for Broker {
    fn from_ref(host: &Host) -> Self {
        host.broker.clone()
    }
}

async fn who(Caller(actor): Caller) -> String {
    format!("{:?}", actor.kind())
}

async fn refuse(Caller(_): Caller, ApiPath(_): ApiPath<u32>) -> Result<String, Problem> {
    Err(BrokerError::Contention.into())
}

fn routes(broker: Broker) -> Router {
    Router::new().route("/who", get(who)).route("/refuse/{n}", post(refuse)).with_state(Host { broker })
}

async fn broker() -> (Broker, Arc<MemoryStore>, String) {
    let store = Arc::new(MemoryStore::new());
    let broker = Broker::builder(store.clone()).start().await.unwrap();
    let key = broker.ensure_admin_key(None).await.unwrap().unwrap();
    (broker, store, key.expose_secret().to_owned())
}

async fn send(routes: Router, method: &str, path: &str, key: &str) -> (http::response::Parts, Value) {
    let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
    let (parts, body) = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
}

#[tokio::test]
async fn host_routes_authenticate_and_answer_problems() {
    let (broker, _, key) = broker().await;
    let plain = routes(broker.clone());
    let layered = plain.clone().layer(ApiLayer::new(broker.clone()));
    for (routes, has_id) in [(plain, false), (layered.clone(), true), (layered.layer(ApiLayer::new(broker)), true)] {
        let (answer, body) = send(routes.clone(), "GET", "/who", &key).await;
        assert_eq!((answer.status, &body), (StatusCode::OK, &json!("Admin")));
        for (method, path, key, slug, status) in [
            ("GET", "/who", "wrong", "unauthenticated", 401),
            ("POST", "/refuse/x", &*key, "not-found", 404),
            ("POST", "/refuse/1", &*key, "contention", 409),
        ] {
            let (answer, problem) = send(routes.clone(), method, path, key).await;
            assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
            assert_eq!(problem["type"], format!("/problems/{slug}"), "{problem}");
            assert_eq!((answer.status.as_u16(), &problem["status"]), (status, &json!(status)));
            assert_eq!(answer.headers.contains_key(header::RETRY_AFTER), slug == "contention");
            let id = answer.headers.get("x-request-id").map(|id| id.to_str().unwrap());
            assert_eq!((id, id.is_some()), (problem["request_id"].as_str(), has_id), "{problem}");
        }
    }
}

#[tokio::test]
async fn server_writes_queued_audit_records_before_it_ends() {
    let (broker, store, _) = broker().await;
    let server = Server::builder(broker.clone()).merge(routes(broker)).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    for path in ["/who", "/nobody-serves-this", "/api/v1/stacks"] {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        let status = if path.starts_with("/nobody") { "HTTP/1.1 404" } else { "HTTP/1.1 401" };
        assert!(answer.starts_with(status) && answer.contains("application/problem+json"), "{answer}");
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    let denied = AuditFilter { outcome: Some(AuditOutcome::Denied), ..AuditFilter::default() };
    let denied = store.audit_list(&Scope::All, &denied, &Page::first(10)).await.unwrap().items;
    assert_eq!(denied.iter().map(|record| record.count).sum::<u64>(), 2, "{denied:?}");
}

#[derive(Debug)]
struct Named(&'static str);

impl TargetingPolicy for Named {
    fn evaluate(&self, pair: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        let is_it = pair.agent.name.as_str() == self.0;
        Ok(if is_it { Verdict::matched("the name") } else { Verdict::unmatched("another name") })
    }
}

#[tokio::test]
async fn policies_add_to_the_default_or_replace_it() {
    let agents = ["a", "b", "c"];
    let builder = || Broker::builder(MemoryStore::new());
    for (builder, expected) in [
        (builder(), vec!["c"]),
        (builder().also_match(Named("a")), vec!["a", "c"]),
        (builder().also_match(Named("a")).also_match(Named("b")), vec!["a", "b", "c"]),
        (builder().replace_policy(Named("a")), vec!["a"]),
        (builder().also_match(Named("b")).replace_policy(Named("a")), vec!["a", "b"]),
    ] {
        let broker = builder.start().await.unwrap();
        let system = broker.system_actor();
        let stack = broker.stack_create(&system, None, StackSpec::named("web")).await.unwrap().id;
        for name in agents {
            let new = NewAgent { name: name.to_owned(), ..NewAgent::default() };
            let (agent, _) = broker.agent_create(&system, new).await.unwrap();
            if name == "c" {
                broker.target_set(&system, stack, agent.id).await.unwrap();
            }
        }
        let placed = broker.stack_placement(&system, stack, None, &Page::first(10)).await.unwrap().items;
        let mut matched: Vec<_> = placed.iter().filter(|it| it.matched).map(|it| it.agent_name.as_str()).collect();
        matched.sort_unstable();
        assert_eq!(matched, expected);
    }
}

#[tokio::test]
async fn rule_that_selects_nothing_leaves_the_decision_to_the_policy() {
    let broker = Broker::builder(MemoryStore::new()).also_match(Named("a")).start().await.unwrap();
    let system = broker.system_actor();
    for name in ["a", "b"] {
        broker.agent_create(&system, NewAgent::named(name).label("region", "eu")).await.unwrap();
    }
    let spec = |name| StackSpec::named(name).label("region", "eu");
    for (spec, expected) in
        [(spec("wide"), vec!["a", "b"]), (spec("narrow").targeting(TargetingRule::none()), vec!["a"])]
    {
        let stack = broker.stack_create(&system, None, spec).await.unwrap().id;
        let placed = broker.stack_placement(&system, stack, None, &Page::first(10)).await.unwrap().items;
        let mut matched: Vec<_> = placed.iter().filter(|it| it.matched).map(|it| it.agent_name.as_str()).collect();
        matched.sort_unstable();
        assert_eq!(matched, expected);
    }
}

#[derive(Debug)]
struct Greeter(&'static str);

#[async_trait]
impl Generator for Greeter {
    type Params = std::collections::BTreeMap<String, String>;

    fn name(&self) -> &str {
        self.0
    }

    async fn generate(&self, ctx: &GenerateContext<'_>, data: Self::Params) -> Result<Manifests, GenerateError> {
        let metadata = json!({"name": ctx.stack.name});
        Ok(Manifests::new([json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})]))
    }
}

#[tokio::test]
async fn typed_generation_needs_exactly_one_generator_of_the_type() {
    let builder = || Broker::builder(MemoryStore::new());
    for (builder, works) in [
        (builder(), false),
        (builder().generator(Greeter("one")), true),
        (builder().generator(Greeter("one")).generator(Greeter("two")), false),
    ] {
        let broker = builder.start().await.unwrap();
        let made =
            broker.generate::<Greeter>(&broker.system_actor(), StackSpec::named("web"), Default::default()).await;
        match made {
            Ok(applied) => assert!(works && applied.published.is_some_and(|it| it.created)),
            Err(error) => assert!(!works && matches!(error, BrokerError::Internal(_)), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn generator_actor_of_a_host_has_only_generator_rights() {
    let (broker, store, _) = broker().await;
    let new = NewGenerator { name: "team".to_owned(), ..NewGenerator::default() };
    let (team, _) = broker.generator_create(&broker.system_actor(), new).await.unwrap();
    let origin = Origin::in_process();
    let actor = broker.generator_actor(team.id).unwrap().in_request(origin.clone());
    let stack = broker.stack_create(&actor, None, StackSpec::named("web")).await.unwrap();
    assert_eq!(stack.generator_id, team.id);
    let agent = broker.agent_create(&actor, NewAgent { name: "edge".to_owned(), ..NewAgent::default() }).await;
    assert!(matches!(agent, Err(BrokerError::Forbidden)), "{agent:?}");
    broker.generator_delete(&broker.system_actor(), team.id).await.expect_err("it owns a stack");
    broker.shutdown().await;
    let records = store.audit_list(&Scope::All, &AuditFilter::default(), &Page::first(100)).await.unwrap().items;
    let own = records.iter().filter(|it| it.request_id == origin.request_id && it.actor == actor.reference());
    assert_eq!(own.count(), 2, "one successful and one denied operation: {records:?}");
    let unknown = broker.generator_actor(brokkr_core::model::GeneratorId::generate());
    assert!(matches!(unknown, Err(BrokerError::NotFound)), "{unknown:?}");
}
