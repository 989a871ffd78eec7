//! The OpenAPI document.

use crate::support::Api;

/// The committed document is the served one: a change of the API is a visible difference.
#[tokio::test]
async fn the_openapi_document_is_the_committed_one() {
    let text = brokkr_http::server::document().to_pretty_json().unwrap();
    insta::with_settings!({ snapshot_path => "../../openapi", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("brokkr-v1", text);
    });
    let api = Api::new().await;
    let served = api.call("none", "GET", "/api/v1/openapi.json", &[], axum::body::Body::empty()).await;
    assert_eq!(served.status, 200);
    assert_eq!(served.json(), serde_json::from_str::<serde_json::Value>(&text).unwrap());
    assert_eq!(served.json()["openapi"], "3.1.0");
}
