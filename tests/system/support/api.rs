//! The API without sockets: requests go directly to the router.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use brokkr_control::{Broker, BrokerBuilder};
use brokkr_core::store::MemoryStore;
use brokkr_http::server::{Server, ServerBuilder};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::Database;

/// A broker in memory behind its router.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) admin: String,
    router: Router,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The slug of the problem. Fails if the response is not a well-formed problem.
    pub(crate) fn slug(&self) -> String {
        let problem = self.json();
        assert_eq!(
            self.headers.get("content-type").map(|it| it.as_bytes()),
            Some(&b"application/problem+json"[..]),
            "{self:?}"
        );
        assert_eq!(problem["status"], self.status.as_u16(), "{problem}");
        assert_eq!(
            problem["request_id"].as_str().map(str::as_bytes),
            self.headers.get("x-request-id").map(|it| it.as_bytes())
        );
        let slug = problem["type"].as_str().and_then(|it| it.strip_prefix("/problems/"));
        slug.unwrap_or_else(|| panic!("no problem type: {problem}")).to_owned()
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        self.json()
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer} in {self:?}"))
            .to_owned()
    }
}

impl Api {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    /// A router of its own.
    pub(crate) fn of(router: Router, admin: String) -> Self {
        Self { router, admin }
    }

    /// A broker with other settings.
    pub(crate) async fn with(set: impl FnOnce(BrokerBuilder) -> BrokerBuilder) -> Self {
        let broker = set(Broker::builder(Arc::new(MemoryStore::new()))).start().await.unwrap();
        let admin = broker.ensure_admin_key(None).await.unwrap().unwrap().expose_secret().to_owned();
        Self::over(broker, admin)
    }

    /// The router over a broker that runs, with an admin key of it.
    pub(crate) fn over(broker: Broker, admin: String) -> Self {
        let metrics = brokkr_http::server::metrics_router(broker.clone(), || "recorded".to_owned());
        Self { router: brokkr_http::server::router(broker).merge(metrics), admin }
    }

    /// A broker on PostgreSQL behind its router.
    pub(crate) async fn on(database: &Database) -> Self {
        let broker = Broker::builder(database.store().await).start().await.unwrap();
        let admin = broker.ensure_admin_key(None).await.unwrap().unwrap().expose_secret().to_owned();
        Self::over(broker, admin)
    }

    /// Runs a test on a broker in memory, and on one on PostgreSQL.
    pub(crate) async fn on_both(test: impl AsyncFn(Self)) {
        test(Self::new().await).await;
        let database = Database::new();
        test(Self::on(&database).await).await;
    }

    /// A broker and a server with other settings.
    pub(crate) async fn served(
        set: impl FnOnce(BrokerBuilder) -> BrokerBuilder,
        serve: impl FnOnce(ServerBuilder) -> ServerBuilder,
    ) -> Self {
        let broker = set(Broker::builder(Arc::new(MemoryStore::new()))).start().await.unwrap();
        let admin = broker.ensure_admin_key(None).await.unwrap().unwrap().expose_secret().to_owned();
        Self { router: serve(Server::builder(broker)).router(), admin }
    }

    /// Sends a request unchanged.
    pub(crate) async fn raw(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// Sends a request with a key, headers and a body.
    pub(crate) async fn call(
        &self,
        key: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.raw(request.body(body.into()).unwrap()).await
    }

    /// Sends JSON as the admin.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        self.send_as(&self.admin, method, path, body).await
    }

    /// Sends JSON with a key. GET and DELETE have no body.
    pub(crate) async fn send_as(&self, key: &str, method: &str, path: &str, body: Value) -> Reply {
        let body = if matches!(method, "GET" | "DELETE") { String::new() } else { body.to_string() };
        self.call(key, method, &format!("/api/v1{path}"), &[("content-type", "application/json")], body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_as(&self.admin, path).await
    }

    pub(crate) async fn get_as(&self, key: &str, path: &str) -> Reply {
        self.call(key, "GET", &format!("/api/v1{path}"), &[], Body::empty()).await
    }

    /// Creates an agent and returns its id and key.
    pub(crate) async fn agent(&self, name: &str, labels: Value) -> (String, String) {
        let reply = self.send("POST", "/agents", json!({"name": name, "labels": labels})).await;
        (reply.text("/agent/id"), reply.text("/pak"))
    }

    /// Sends a merge patch as the admin, for any version.
    pub(crate) async fn patch(&self, path: &str, patch: Value) -> Reply {
        self.patch_as(&self.admin, path, patch).await
    }

    pub(crate) async fn patch_as(&self, key: &str, path: &str, patch: Value) -> Reply {
        let headers = [("content-type", "application/merge-patch+json"), ("if-match", "*")];
        self.call(key, "PATCH", &format!("/api/v1{path}"), &headers, patch.to_string()).await
    }

    /// Creates an environment and returns its id.
    pub(crate) async fn environment(&self, name: &str) -> String {
        self.send("POST", "/environments", json!({"name": name})).await.text("/id")
    }

    /// Creates an agent in an environment and returns its id and key.
    pub(crate) async fn agent_in(&self, environment: &str, name: &str) -> (String, String) {
        let reply = self.send("POST", "/agents", json!({"name": name, "environment": environment})).await;
        (reply.text("/agent/id"), reply.text("/pak"))
    }

    /// The names of the stacks that an agent should apply, and of those that it should remove, from its own poll.
    pub(crate) async fn polled(&self, agent: &str, key: &str) -> (Vec<String>, Vec<String>) {
        let reply = self.get_as(key, &format!("/agents/{agent}/target-state?hold=true")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let state = reply.json();
        let of = |action: &str| {
            let entries = state["entries"].as_array().unwrap().iter().filter(|it| it["action"] == action);
            let mut names: Vec<String> = entries.map(|it| it["stack_name"].as_str().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        (of("apply"), of("remove"))
    }

    /// Creates a generator and returns its id and key.
    pub(crate) async fn generator(&self, name: &str) -> (String, String) {
        let reply = self.send("POST", "/generators", json!({"name": name})).await;
        (reply.text("/generator/id"), reply.text("/pak"))
    }

    /// Creates a stack and returns its id.
    pub(crate) async fn stack(&self, name: &str) -> String {
        self.send("POST", "/stacks", json!({"name": name})).await.text("/id")
    }

    /// Publishes YAML.
    pub(crate) async fn publish(&self, stack: &str, yaml: &str) -> Reply {
        let path = format!("/api/v1/stacks/{stack}/deployment-objects");
        self.call(&self.admin, "POST", &path, &[("content-type", "application/yaml")], yaml.to_owned()).await
    }
}
