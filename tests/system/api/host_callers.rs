//! A host's own authentication: audited refusals, idempotency keys, and names instead of ids.

use axum::Router;
use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::request::Parts;
use axum::routing::post;
use brokkr::testing::{TestResponse, call, eventually};
use brokkr_control::{Actor, Broker, BrokerError, NewEnvironment};
use brokkr_core::model::{ActorRef, AuditOutcome, AuditRecord, GeneratorId, StackSpec};
use brokkr_core::store::{AuditFilter, EntityQuery, MemoryStore, Page};
use brokkr_http::api::ProblemType;
use brokkr_http::server::{ApiPath, Problem, RequestOrigin, Server};
use http::Request;

#[derive(Clone)]
struct Host {
    broker: Broker,
    platform: GeneratorId,
}

impl FromRef<Host> for Broker {
    fn from_ref(host: &Host) -> Self {
        host.broker.clone()
    }
}

struct Employee(Actor);

impl FromRequestParts<Host> for Employee {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, host: &Host) -> Result<Self, Problem> {
        match parts.headers.get("x-token").and_then(|it| it.to_str().ok()) {
            Some("ada") => {}
            Some("guest") => return Err(Problem::new(ProblemType::Forbidden)),
            _ => return Err(Problem::new(ProblemType::Unauthenticated)),
        }
        let origin = RequestOrigin::from_request_parts(parts, host).await?;
        Ok(Self(origin.identify(host.broker.generator_actor(host.platform)?)?))
    }
}

async fn create(
    State(broker): State<Broker>,
    Employee(actor): Employee,
    ApiPath(team): ApiPath<String>,
) -> Result<String, Problem> {
    if team == "closed" {
        return Err(Problem::new(ProblemType::FieldInvalid).at_pointer("/team"));
    }
    Ok(broker.stack_create(&actor, None, StackSpec::named(team)).await?.id.to_string())
}

impl Host {
    async fn start() -> Self {
        let broker = Broker::builder(MemoryStore::new()).start().await.unwrap();
        let platform = broker.ensure_generator(&broker.system_actor(), "platform", "ours").await.unwrap().id;
        Self { broker, platform }
    }

    async fn send(&self, method: &str, path: &str, token: &str, key: Option<&str>) -> TestResponse {
        let routes = Router::new().route("/teams/{team}", post(create).get(create)).with_state(self.clone());
        let router = Server::builder(self.broker.clone()).merge(routes).router();
        let mut request = Request::builder().method(method).uri(path).header("x-token", token);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        call(&router, request.body(()).unwrap()).await
    }

    /// Waits for the audit record of a refused request.
    async fn refused(&self, detail: &str) -> AuditRecord {
        let filter = AuditFilter { action: Some("request".to_owned()), ..AuditFilter::default() };
        let what = format!("the audit has the refusal {detail}");
        eventually(&what, async || {
            let system = self.broker.system_actor();
            let found = self.broker.audit_list(&system, &filter, &Page::first(100)).await.unwrap().items;
            found.iter().find(|it| it.detail.as_deref() == Some(detail)).cloned().ok_or(found)
        })
        .await
    }
}

#[tokio::test]
async fn refusals_of_a_host_are_audited() {
    let host = Host::start().await;
    let platform = ActorRef::Generator { id: host.platform, key_id: None };
    for (method, path, token, status, detail, actor, outcome) in [
        ("POST", "/teams/a", "", 401, "POST /teams/{team}: unauthenticated", ActorRef::Anonymous, AuditOutcome::Denied),
        ("GET", "/teams/a", "", 401, "GET /teams/{team}: unauthenticated", ActorRef::Anonymous, AuditOutcome::Denied),
        ("POST", "/teams/a", "guest", 403, "POST /teams/{team}: forbidden", ActorRef::Anonymous, AuditOutcome::Denied),
        ("POST", "/teams/closed", "ada", 422, "POST /teams/{team}: field-invalid", platform, AuditOutcome::Failed),
    ] {
        let response = host.send(method, path, token, None).await;
        assert_eq!(response.status, status, "{detail}");
        let record = host.refused(detail).await;
        assert_eq!((record.actor, record.outcome), (actor, outcome), "{detail}");
        let id = response.json()["request_id"].as_str().unwrap().to_owned();
        assert_eq!(record.request_id.to_string(), id, "{detail}");
    }
    host.broker.shutdown().await;
}

#[tokio::test]
async fn host_route_honours_idempotency_keys() {
    let host = Host::start().await;
    let first = host.send("POST", "/teams/shop", "ada", Some("one")).await;
    assert_eq!((first.status.as_u16(), first.headers.get("idempotency-replayed")), (200, None), "{}", first.text());
    let repeated = host.send("POST", "/teams/shop", "ada", Some("one")).await;
    assert_eq!(repeated.text(), first.text());
    assert_eq!(repeated.headers["idempotency-replayed"], "true");
    let other = host.send("POST", "/teams/other", "ada", Some("one")).await;
    assert_eq!(other.json()["type"], ProblemType::IdempotencyKeyReused.uri());
    let again = host.send("POST", "/teams/shop", "ada", None).await;
    assert_eq!(again.json()["type"], ProblemType::AlreadyExists.uri());
}

#[tokio::test]
async fn entities_are_found_by_name_within_the_rights_of_the_actor() {
    let host = Host::start().await;
    let (broker, system) = (&host.broker, host.broker.system_actor());
    let actor = broker.generator_actor(host.platform).unwrap();
    let own = broker.stack_create(&actor, None, StackSpec::named("shop")).await.unwrap();
    let of_system = broker.stack_create(&system, None, StackSpec::named("shop")).await.unwrap();
    assert_eq!(broker.stack_by_name(&actor, "shop").await.unwrap().id, own.id);
    assert_eq!(broker.stack_by_name(&system, "shop").await.unwrap().id, of_system.id);
    let staging = NewEnvironment { name: "staging".to_owned(), ..NewEnvironment::default() };
    let staging = broker.environment_create(&system, staging).await.unwrap();
    assert_eq!(broker.environment_by_name(&system, "staging").await.unwrap(), staging);
    for name in ["absent", "not a name", ""] {
        assert!(matches!(broker.stack_by_name(&actor, name).await, Err(BrokerError::NotFound)), "{name}");
        assert!(matches!(broker.environment_by_name(&system, name).await, Err(BrokerError::NotFound)), "{name}");
    }
}

#[tokio::test]
async fn ensured_generator_is_created_once() {
    let host = Host::start().await;
    let (broker, system) = (&host.broker, host.broker.system_actor());
    let ensured = async |name: &'static str| broker.ensure_generator(&system, name, "another text").await;
    let (one, two, known) = tokio::join!(ensured("team"), ensured("team"), ensured("platform"));
    assert_eq!(one.unwrap().id, two.unwrap().id);
    let known = known.unwrap();
    assert_eq!((known.id, known.description.as_str()), (host.platform, "ours"));
    assert!(matches!(ensured("Not A Name").await, Err(BrokerError::Invalid(invalid)) if invalid.pointer == "/name"));
    let actor = broker.generator_actor(host.platform).unwrap();
    let denied = broker.ensure_generator(&actor, "mine", "").await;
    assert!(matches!(denied, Err(BrokerError::Forbidden)), "{denied:?}");
    let all = broker.generator_list(&system, &Page::default()).await.unwrap().items;
    assert_eq!(all.len(), 3, "system, platform and team: {all:?}");
    assert!(broker.stack_list(&actor, &EntityQuery::default(), &Page::default()).await.unwrap().items.is_empty());
}
