//! What one request or one row could do to records.

use brokkr_control::Broker;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::{Api, Database};

/// One row that cannot be read made every page of the audit fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_damaged_audit_record_is_skipped_and_named() {
    let database = Database::new();
    let broker = Broker::builder(database.store().await).start().await.unwrap();
    let admin = broker.ensure_admin_key(None).await.unwrap().unwrap().expose_secret().to_owned();
    let api = Api::over(broker.clone(), admin);
    let damaged = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
    database.query(&format!(
        "INSERT INTO brokkr.audit (id, at, actor, actor_text, action, request_id, outcome, count)
        VALUES ('{damaged}', now(), '{{\"kind\": \"martian\"}}', 'martian', 'stack.create', '{damaged}', 'success', 1)"
    ));
    let stack = api.stack("web").await;
    let page = api.get("/audit?limit=100").await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(page.json()["unreadable"], json!([damaged]));
    assert!(page.json()["items"].to_string().contains(&stack), "the other records are read: {page:?}");
    broker.shutdown().await;
}
