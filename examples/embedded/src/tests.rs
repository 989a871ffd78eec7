//! Tests the service on a temporary PostgreSQL database, and the generator in memory.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use axum::http::{Request, StatusCode, header};
use brokkr::model::{AuditOutcome, StackSpec};
use brokkr::postgres::migrate;
use brokkr::store::{AuditFilter, Page};
use brokkr::testing::{ControlPlane, call, eventually};
use brokkr_testbed::{Postgres, ScratchFolder};
use serde_json::{Value, json};

use super::*;
use crate::customer_database::{CustomerDatabase, Size};

async fn send(service: &Service, token: &str, body: Option<Value>) -> (StatusCode, Value) {
    let request = match &body {
        Some(_) => Request::post("/customers").header(header::CONTENT_TYPE, "application/json"),
        None => Request::get("/customers"),
    };
    let request = request.header(header::AUTHORIZATION, format!("Token {token}"));
    let router = Server::builder(service.broker.clone()).merge(customers::routes(service.clone())).router();
    let response = call(&router, request.body(body.map(|it| it.to_string()).unwrap_or_default()).unwrap()).await;
    (response.status, response.json())
}

#[tokio::test]
async fn team_sees_only_its_own_customers() {
    let folder = ScratchFolder::new("embedded").unwrap();
    let server = Postgres::start(folder.path()).unwrap();
    server.create_brokkr("crm").unwrap();
    server.query("CREATE ROLE crm LOGIN NOSUPERUSER").unwrap();
    server.query("GRANT CREATE ON DATABASE crm TO crm").unwrap();
    migrate(server.url_of("brokkr_owner", "crm"), Some("brokkr_broker")).await.unwrap();
    let store = PostgresStore::connect(PostgresConfig::new(server.url_of("brokkr_broker", "crm"))).await.unwrap();
    let service = Service::start(store, &server.url_of("crm", "crm")).await.unwrap();

    let first = service.ensure_first_member().await.unwrap().unwrap();
    assert_eq!(service.ensure_first_member().await.unwrap(), None);
    service.create_team("second").await.unwrap();
    let second = service.create_member("second").await.unwrap();

    let acme = json!({"name": "acme", "gibibytes": 10});
    let (status, created) = send(&service, &first, Some(acme.clone())).await;
    assert_eq!((status, &created["agents"]), (StatusCode::CREATED, &json!(0)), "{created}");
    for (token, body, expected) in [
        (&first, &acme, "already-exists"),
        (&first, &json!({"name": "Not A Name", "gibibytes": 1}), "name-invalid"),
        (&first, &json!({"name": "large", "gibibytes": 5000}), "params-invalid"),
        (&"wrong".to_owned(), &acme, "unauthenticated"),
    ] {
        let (_, problem) = send(&service, token, Some(body.clone())).await;
        assert_eq!(problem["type"], format!("/problems/{expected}"), "{problem}");
    }
    let (_, mine) = send(&service, &first, None).await;
    assert_eq!(mine, json!([created]), "refused requests create no customer");
    assert_eq!(send(&service, &second, None).await.1, json!([]));

    let denied = eventually("the audit has the refused token", async || {
        let filter = AuditFilter { action: Some("request".to_owned()), ..AuditFilter::default() };
        let system = service.broker.system_actor();
        let found = service.broker.audit_list(&system, &filter, &Page::first(10)).await.unwrap().items;
        found.into_iter().find(|it| it.outcome == AuditOutcome::Denied).ok_or(())
    })
    .await;
    assert_eq!(denied.detail.as_deref(), Some("POST /customers: unauthenticated"));
    service.broker.shutdown().await;
}

#[tokio::test]
async fn generated_database_is_applied_to_the_cluster() {
    let plane = ControlPlane::builder().agents(1).broker(|broker| broker.generator(CustomerDatabase)).start().await;
    let stack = plane.generate::<CustomerDatabase>(StackSpec::named("customer-acme"), Size { gibibytes: 7 }).await;
    plane.converged(stack).await;
    let set = plane.agents()[0].object("StatefulSet", "customer-acme", "database").unwrap();
    let claim = &set["spec"]["volumeClaimTemplates"][0]["spec"];
    assert_eq!(claim["resources"]["requests"]["storage"], "7Gi");
}
