//! The address of a client: in the audit, and for the networks of keys. And the address of the metrics.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use brokkr_control::Broker;
use brokkr_core::store::MemoryStore;
use brokkr_http::server::{Server, TrustedProxies};
use http::Request;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Api, eventually};

async fn api(proxies: TrustedProxies) -> Api {
    let broker = Broker::builder(MemoryStore::new()).start().await.unwrap();
    let admin = broker.ensure_admin_key(None).await.unwrap().unwrap().expose_secret().to_owned();
    Api::of(Server::builder(broker).trusted_proxies(proxies).router(), admin)
}

async fn sent(api: &Api, key: &str, peer: &str, header: &str, hops: &str, body: Value) -> u16 {
    let request = Request::post("/api/v1/stacks").header("authorization", format!("Bearer {key}"));
    let request = request.header("content-type", "application/json").header(header, hops);
    let mut request = request.body(Body::from(body.to_string())).unwrap();
    request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
    api.raw(request).await.status.as_u16()
}

async fn sources(api: &Api, filter: &str) -> Vec<String> {
    let items = api.get(&format!("/audit?{filter}")).await.json()["items"].as_array().unwrap().clone();
    items.iter().map(|it| it["source"].as_str().unwrap_or("none").to_owned()).collect()
}

#[tokio::test]
async fn audit_names_the_client_behind_a_trusted_proxy() {
    let proxies = TrustedProxies::new(["10.0.0.0/8".parse().unwrap()]);
    for (n, (proxies, peer, header, expected)) in [
        (TrustedProxies::default(), "10.0.0.1:1", "x-forwarded-for", "10.0.0.1"),
        (proxies.clone(), "10.0.0.1:1", "x-forwarded-for", "198.51.100.7"),
        (proxies.clone(), "203.0.113.5:1", "x-forwarded-for", "203.0.113.5"),
        (proxies.clone(), "10.0.0.1:1", "forwarded", "10.0.0.1"),
        (proxies.forwarded(), "10.0.0.1:1", "forwarded", "198.51.100.7"),
    ]
    .into_iter()
    .enumerate()
    {
        let api = api(proxies).await;
        let hops = if header == "forwarded" { "for=192.0.2.66, for=198.51.100.7" } else { "192.0.2.66, 198.51.100.7" };
        assert_eq!(sent(&api, &api.admin, peer, header, hops, json!({"name": "web"})).await, 201);
        assert_eq!(sources(&api, "action=stack.create").await, [expected], "case {n}");
        assert_eq!(sent(&api, "nothing", peer, header, hops, json!({"name": "web"})).await, 401);
        eventually("the refusal is recorded with the same source", || async {
            let found = sources(&api, "outcome=denied").await;
            if found == [expected] { Ok(()) } else { Err(found) }
        })
        .await;
    }
}

#[tokio::test]
async fn networks_of_keys_compare_the_client() {
    let api = api(TrustedProxies::new(["10.0.0.0/8".parse().unwrap()])).await;
    let body = json!({"name": "k", "scopes": ["stacks:read", "stacks:write"], "source_networks": ["198.51.100.0/24"]});
    let key = api.send("POST", "/keys", body).await.text("/pak");
    for (n, (peer, hops, status)) in [
        ("10.0.0.1:1", "198.51.100.7", 201),
        ("198.51.100.7:1", "192.0.2.66", 201),
        ("10.0.0.1:1", "198.51.100.7, 192.0.2.66", 401),
        ("10.0.0.1:1", "192.0.2.66", 401),
        ("203.0.113.5:1", "198.51.100.7", 401),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"name": format!("stack-{n}")});
        assert_eq!(sent(&api, &key, peer, "x-forwarded-for", hops, body).await, status, "{peer} {hops}");
    }
}

#[tokio::test]
async fn metrics_have_an_address_of_their_own() {
    let broker = Broker::builder(MemoryStore::new()).start().await.unwrap();
    let metrics = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let internal = metrics.local_addr().unwrap();
    let server = Server::builder(broker).metrics(metrics, || "recorded".to_owned()).bind("127.0.0.1:0").await.unwrap();
    let public = server.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    brokkr_http::client::install_crypto_provider();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |address: SocketAddr, path: &str| {
        let response = client.get(format!("http://{address}{path}")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get(internal, "/metrics").await, (200, "recorded".to_owned()));
    assert_eq!(get(public, "/metrics").await.0, 404);
    for path in ["/healthz", "/api/v1/stacks"] {
        assert_eq!(get(internal, path).await.0, 404, "{path}");
    }
    drop(client);
    stop.send(()).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(30), running).await.expect("it ends").unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(internal).await.is_err(), "the metrics end with the server");
}
