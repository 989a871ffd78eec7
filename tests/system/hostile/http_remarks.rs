//! HTTP messages and requests that were tolerated.

use std::net::SocketAddr;
use std::time::Duration;

use brokkr_control::Broker;
use brokkr_core::store::MemoryStore;
use brokkr_http::server::Server;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Api;

struct Served {
    address: SocketAddr,
    admin: String,
}

impl Served {
    async fn new() -> Self {
        let broker = Broker::builder(MemoryStore::new()).start().await.unwrap();
        let admin = broker.ensure_admin_key(None).await.unwrap().unwrap().expose_secret().to_owned();
        let server = Server::builder(broker).bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(server.run(std::future::pending()));
        Self { address, admin }
    }

    /// Sends bytes, reads until the server closes, and returns status and slug of the first response. Fails without a whole
    /// problem document.
    async fn refused(&self, sent: &[u8]) -> (u16, String) {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let (mut reading, mut writing) = connection.split();
        let mut answer = Vec::new();
        let exchange = async {
            let write = async { drop(writing.write_all(sent).await) };
            tokio::join!(write, reading.read_to_end(&mut answer)).1
        };
        let read = tokio::time::timeout(Duration::from_secs(30), exchange).await.expect("the connection closes");
        let shown = String::from_utf8_lossy(&sent[..sent.len().min(120)]).into_owned();
        assert!(read.is_ok(), "the connection was reset: {shown}");
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?} for {shown}"));
        assert!(head.to_ascii_lowercase().contains("content-type: application/problem+json"), "{text} for {shown}");
        // A second response on the connection would follow the document.
        let problem: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text} for {shown}"));
        let slug = problem["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), slug)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_with_several_meanings_get_a_problem() {
    let served = Served::new().await;
    let key = format!("authorization: Bearer {}\r\n", served.admin);
    let post = |fields: &str, body: &str| {
        format!("POST /api/v1/stacks HTTP/1.1\r\nhost: x\r\n{key}content-type: application/json\r\n{fields}\r\n{body}")
    };
    let malformed = (400, "request-malformed");
    for (what, sent, expected) in [
        ("length and coding", post("content-length: 2\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), malformed),
        ("bare LF", "GET /readyz HTTP/1.1\nhost: x\n\n".to_owned(), malformed),
        ("no Host", "GET /readyz HTTP/1.1\r\n\r\n".to_owned(), malformed),
        ("two Hosts", "GET /readyz HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".to_owned(), malformed),
        ("odd coding", post("transfer-encoding: identity\r\n", ""), malformed),
        (
            "gzip coding",
            post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"),
            (501, "transfer-coding-unsupported"),
        ),
        ("body of GET", "GET /readyz HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}".to_owned(), malformed),
        ("nonsense", "nonsense\r\n\r\n".to_owned(), malformed),
        (
            "CONNECT",
            "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\nconnection: close\r\n\r\n".to_owned(),
            (405, "method-not-allowed"),
        ),
        (
            "header of 64 KiB",
            format!("GET /readyz HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", "x".repeat(65_536)),
            (431, "head-too-large"),
        ),
        (
            "gzip-marked plain body",
            post("connection: close\r\ncontent-encoding: gzip\r\ncontent-length: 14\r\n", r#"{"name": "aa"}"#),
            (415, "unsupported-media-type"),
        ),
        ("20 MiB", post("content-length: 20971520\r\n", &" ".repeat(20 * 1024 * 1024)), (413, "body-too-large")),
    ] {
        let got = served.refused(sent.as_bytes()).await;
        assert_eq!((got.0, got.1.as_str()), expected, "{what}");
    }
}

#[tokio::test]
async fn tolerated_queries_and_preconditions_are_refused() {
    let api = Api::new().await;
    let stack = api.stack("web").await;
    let encoded: String = api.admin.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for (path, slug) in [
        ("/stacks?limit=+5".to_owned(), "query-invalid"),
        ("/stacks?limit=%2B5".to_owned(), "query-invalid"),
        (format!("/stacks/{stack}?nonsense=1"), "query-invalid"),
        ("/changes?after=9999999-1-0".to_owned(), "position-expired"),
        ("/changes?after=1-9999999999-0".to_owned(), "position-expired"),
        (format!("/stacks?labels={encoded}"), "credential-in-url"),
        (format!("/stacks/{stack}/events?since={encoded}"), "credential-in-url"),
    ] {
        assert_eq!(api.get(&path).await.slug(), slug, "{path}");
    }
    let message = format!("/api/v1/stacks/{stack}/deployment-objects?message={encoded}");
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let published = api.call(&api.admin, "POST", &message, &[("content-type", "application/yaml")], yaml).await;
    assert_eq!(published.slug(), "credential-in-url");
    assert_eq!(
        api.get(&format!("/stacks/{stack}/deployment-objects")).await.json()["items"],
        json!([]),
        "nothing is stored"
    );
    let path = format!("/api/v1/stacks/{stack}");
    for tags in [vec!["\"+1\""], vec!["\"01\""], vec!["\"1\"", "\"1\""], vec!["\"1\", \"2\""], vec!["1"]] {
        let mut headers = vec![("content-type", "application/merge-patch+json")];
        headers.extend(tags.iter().map(|tag| ("if-match", *tag)));
        let patched = api.call(&api.admin, "PATCH", &path, &headers, r#"{"description": "x"}"#).await;
        assert_eq!(patched.slug(), "header-invalid", "{tags:?}");
    }
}
