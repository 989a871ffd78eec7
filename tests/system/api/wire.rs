//! HTTP/1 as bytes on a socket: every refused message gets a problem document, and the connection closes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use brokkr_control::{Broker, KeyTerms, NewKey};
use brokkr_core::model::{KeyOwner, KeyScope, KeyScopes, Preset, limits};
use brokkr_core::store::MemoryStore;
use brokkr_http::server::{Server, ServerBuilder};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Wire {
    address: SocketAddr,
    broker: Broker,
    admin: String,
}

/// A response as it arrived.
#[derive(Debug)]
struct Said {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Said {
    /// The slug of the problem. Fails if the response is not one.
    fn slug(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        assert_eq!(problem["status"], self.status);
        assert!(self.head.contains(&format!("x-request-id: {}", problem["request_id"].as_str().unwrap())), "{self:?}");
        problem["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
    }
}

/// The responses until the server closes the connection.
fn responses(mut bytes: &[u8]) -> Vec<Said> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let text = String::from_utf8_lossy(bytes);
        let end = text.find("\r\n\r\n").unwrap_or_else(|| panic!("{text}")) + 4;
        let head = text[..end].to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|it| it.split("\r\n").next()).unwrap_or("0");
        let length: usize = length.parse().unwrap();
        let status = head[9..12].parse().unwrap();
        all.push(Said { status, head, body: bytes[end..end + length].to_vec() });
        bytes = &bytes[end + length..];
    }
    all
}

impl Wire {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(configure: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let broker = Broker::builder(MemoryStore::new()).start().await.unwrap();
        let admin = broker.ensure_admin_key(None).await.unwrap().unwrap().expose_secret().to_owned();
        let server = configure(Server::builder(broker.clone())).bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(server.run(std::future::pending()));
        Self { address, broker, admin }
    }

    /// Sends bytes and returns all responses. The server must close the connection.
    async fn all(&self, sent: &[u8]) -> Vec<Said> {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let (mut reading, mut writing) = connection.split();
        let mut answer = Vec::new();
        let exchange = async {
            // A server that closes early makes writing fail; the response decides.
            let write = async { drop(writing.write_all(sent).await) };
            let read = async { reading.read_to_end(&mut answer).await };
            tokio::join!(write, read).1
        };
        let read = tokio::time::timeout(Duration::from_secs(20), exchange).await.expect("the connection closes");
        let shown = String::from_utf8_lossy(&sent[..sent.len().min(200)]);
        assert!(read.is_ok(), "the connection was reset after {answer:?}: {shown}");
        responses(&answer)
    }

    /// Sends a request of which the client keeps back the body. The server must answer it and close the connection.
    async fn stalled(&self, method: &str, path: &str, key: &str) -> Said {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(stalled(method, path, key).as_bytes()).await.unwrap();
        let mut answer = vec![0; 16 * 1024];
        let read = tokio::time::timeout(Duration::from_secs(5), connection.read(&mut answer)).await;
        let count = read.unwrap_or_else(|_| panic!("{method} {path} reads the body")).unwrap();
        let said = responses(&answer[..count]).remove(0);
        said.slug();
        assert!(said.head.contains("connection: close"), "{said:?}");
        said
    }

    /// Creates a key of an admin with these scopes.
    async fn admin_key(&self, scopes: KeyScopes) -> String {
        let owner = KeyOwner::of_admin(&scopes);
        let terms = KeyTerms { scopes: Some(scopes), ..KeyTerms::default() };
        let new = NewKey { name: "other".to_owned(), terms };
        let made = self.broker.key_create(&self.broker.system_actor(), owner, new).await.unwrap();
        made.pak.unwrap().expose_secret().to_owned()
    }

    async fn one(&self, sent: impl AsRef<[u8]>) -> Said {
        let mut all = self.all(sent.as_ref()).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

#[tokio::test]
async fn malformed_messages_are_problems() {
    let wire = Wire::new().await;
    for (sent, status, slug) in [
        ("GET /healthz HTTP/1.1\nhost: x\n\n", 400, "request-malformed"),
        ("GET /healthz HTTP/1.1\r\n\r\n", 400, "request-malformed"),
        ("GET /healthz HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", 400, "request-malformed"),
        (
            "POST /api/v1/stacks HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
            400,
            "request-malformed",
        ),
        (
            "POST /api/v1/stacks HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
            400,
            "request-malformed",
        ),
        ("POST /api/v1/stacks HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", 400, "request-malformed"),
        (
            "POST /api/v1/stacks HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            501,
            "transfer-coding-unsupported",
        ),
        ("GET /healthz HTTP/3.0\r\nhost: x\r\n\r\n", 400, "request-malformed"),
        ("nonsense\r\n\r\n", 400, "request-malformed"),
        ("\u{0}\u{1}\u{2}\r\n\r\n", 400, "request-malformed"),
        (
            "GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
            400,
            "request-malformed",
        ),
        (
            "DELETE /api/v1/stacks/x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
            400,
            "request-malformed",
        ),
        ("CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\nconnection: close\r\n\r\n", 405, "method-not-allowed"),
        ("TRACE /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405, "method-not-allowed"),
        ("TRACE /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405, "method-not-allowed"),
        ("BREW /api/v1/stacks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405, "method-not-allowed"),
        ("GET /api/v1/openapi.json?x=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 400, "query-invalid"),
        ("GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404, "not-found"),
    ] {
        let said = wire.one(sent).await;
        assert_eq!((said.status, said.slug().as_str()), (status, slug), "{sent}: {said:?}");
        assert!(said.head.contains("connection: close"), "{sent}: {said:?}");
        assert_eq!(said.status == 405, said.head.contains("\r\nallow: "), "{sent}: {said:?}");
    }
}

#[tokio::test]
async fn too_large_heads_are_problems() {
    let wire = Wire::new().await;
    let with = |line: String| format!("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{line}\r\n");
    for (sent, status, slug) in [
        (with(format!("authorization: Bearer {}\r\n", "x".repeat(64 * 1024))), 431, "head-too-large"),
        (with(format!("a: {}\r\n", "x".repeat(64_000))), 431, "head-too-large"),
        (with(format!("a: {}\r\n", "x".repeat(400_000))), 431, "head-too-large"),
        (with("a: b\r\n".repeat(1_000)), 431, "head-too-large"),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(limits::REQUEST_URI_BYTES)), 414, "uri-too-long"),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(400_000)), 414, "uri-too-long"),
    ] {
        let said = wire.one(&sent).await;
        assert_eq!((said.status, said.slug().as_str()), (status, slug), "{}", sent.len());
    }
    assert_eq!(wire.one(with("a: b\r\n".repeat(90))).await.status, 200);
}

#[tokio::test]
async fn requests_before_a_refused_message_are_answered_and_later_ones_are_not() {
    let wire = Wire::new().await;
    let good = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let body = "POST /api/v1/stacks HTTP/1.1\r\nhost: x\r\ncontent-length: 44\r\n\r\nGET /healthz HTTP/1.1\nthis is a body\n\n\n\n\n\n\n\n\n";
    let all = wire.all(format!("{good}{good}GET / HTTP/1.1\n\n{good}").as_bytes()).await;
    assert_eq!(all.iter().map(|it| it.status).collect::<Vec<_>>(), [200, 200, 400]);
    assert_eq!(all[2].slug(), "request-malformed");
    let all = wire.all(format!("{body}{good}").as_bytes()).await;
    assert_eq!(all.first().map(|it| it.status), Some(401), "{all:?}");
    let key = format!("authorization: Bearer {}\r\n", wire.admin);
    let chunked = format!(
        "POST /api/v1/auth/pak HTTP/1.1\r\nhost: x\r\n{key}transfer-encoding: chunked\r\n\r\n5;a=b\r\nhe\n\nl\r\n0\r\nx: y\r\n\r\n{good}"
    );
    let close = "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let all = wire.all(format!("{good}{close}").as_bytes()).await;
    assert_eq!(all.iter().map(|it| it.status).collect::<Vec<_>>(), [200, 200]);
    let all = wire.all(chunked.as_bytes()).await;
    assert_eq!(all[0].status, 200, "{all:?}");
    let broken = format!(
        "POST /api/v1/stacks HTTP/1.1\r\nhost: x\r\n{key}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n"
    );
    let said = wire.one(broken).await;
    assert_eq!((said.status, said.slug().as_str()), (400, "body-incomplete"));
}

/// A request with a body whose client sends nothing of it.
fn stalled(method: &str, path: &str, key: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nif-match: \"1\"\r\ncontent-type: application/json\r\n\
         content-length: 8388608\r\n\r\n{{"
    )
}

#[tokio::test]
async fn no_operation_reads_a_body_without_the_right() {
    let wire = Wire::new().await;
    let broker = &wire.broker;
    let new = brokkr_control::NewAgent { name: "edge".to_owned(), ..Default::default() };
    let (_, agent) = broker.agent_create(&broker.system_actor(), new).await.unwrap();
    let agent = agent.pak.unwrap();
    let auditor = wire.admin_key(Preset::Auditor.scopes()).await;
    let document = serde_json::to_value(brokkr_http::server::document()).unwrap();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("requestBody").is_none() {
                continue;
            }
            let mut keys = vec![("x", 401), (auditor.as_str(), 403)];
            // It only reads, so that an auditor may ask.
            if path.ends_with("/impact") {
                keys.retain(|(_, expected)| *expected == 401);
            }
            // Report and rotation are the agent's own.
            if !path.contains("agents/{id}/r") && path != "/api/v1/agents/{id}/keys/{key_id}/rotate" {
                keys.push((agent.expose_secret(), 403));
            }
            // A key is no join token.
            if path == "/api/v1/join" {
                keys.iter_mut().for_each(|(_, expected)| *expected = 401);
            }
            let id = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";
            let path: Vec<&str> = path.split('/').map(|it| if it.starts_with('{') { id } else { it }).collect();
            for (key, expected) in keys {
                let said = wire.stalled(&method.to_uppercase(), &path.join("/"), key).await;
                assert_eq!(said.status, expected, "{method} {path:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
}

#[tokio::test]
async fn operation_that_also_makes_a_key_reads_no_body_without_the_scope_for_keys() {
    let wire = Wire::new().await;
    let fleet = wire.admin_key(BTreeSet::from([KeyScope::FleetRead, KeyScope::FleetWrite]).try_into().unwrap()).await;
    for path in ["/api/v1/agents", "/api/v1/generators", "/api/v1/keys"] {
        assert_eq!(wire.stalled("POST", path, &fleet).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn client_can_send_a_body_that_is_too_large_to_its_end() {
    let wire = Wire::new().await;
    let key = &wire.admin;
    for (path, bytes) in [("/api/v1/stacks", 20 * 1024 * 1024), ("/api/v1/nothing", 10 * 1024 * 1024)] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
        );
        let mut sent = head.into_bytes();
        sent.resize(sent.len() + bytes, b' ');
        let said = wire.one(&sent).await;
        let expected = if path.ends_with("stacks") { (413, "body-too-large") } else { (404, "not-found") };
        assert_eq!((said.status, said.slug().as_str()), expected);
    }
    let chunked = format!(
        "POST /api/v1/stacks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunk = format!("{:x}\r\n{}\r\n", 1024 * 1024, " ".repeat(1024 * 1024));
    let said = wire.one(format!("{chunked}{}0\r\n\r\n", chunk.repeat(3))).await;
    assert_eq!((said.status, said.slug().as_str()), (413, "body-too-large"));
    let gzip = format!(
        "POST /api/v1/stacks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-encoding: gzip\r\ncontent-length: 14\r\nconnection: close\r\n\r\n{{\"name\": \"web\"}}"
    );
    let said = wire.one(gzip.replace("length: 14", "length: 15")).await;
    assert_eq!((said.status, said.slug().as_str()), (415, "unsupported-media-type"));
}

#[tokio::test]
async fn bodies_share_their_memory() {
    // The least budget: two bodies of the largest size, of which one key gets one.
    let wire = Wire::with(|builder| builder.body_budget(0)).await;
    let broker = &wire.broker;
    let stack =
        broker.stack_create(&broker.system_actor(), None, brokkr_core::model::StackSpec::named("web")).await.unwrap();
    let path = format!("/api/v1/stacks/{}/deployment-objects", stack.id);
    let most = limits::BODY_BYTES - 1;
    let mut stalling = Vec::new();
    for _ in 0..2 {
        let connection = TcpStream::connect(wire.address).await.unwrap();
        let mut sent = stalled("POST", &path, &wire.admin).into_bytes();
        sent.resize(sent.len() + most - 1, b' ');
        let (mut reading, mut writing) = connection.into_split();
        stalling.push(tokio::spawn(async move {
            let _ = writing.write_all(&sent).await;
            let mut answer = vec![0; 16 * 1024];
            let count = reading.read(&mut answer).await.unwrap_or_default();
            // The connection stays open until the response has arrived.
            drop(writing);
            responses(&answer[..count])
        }));
    }
    let (first, _, others) = futures::future::select_all(stalling).await;
    let said = first.unwrap().remove(0);
    assert_eq!((said.status, said.slug().as_str()), (503, "overloaded"), "the second body of the key");
    assert!(said.head.contains("\r\nretry-after: 1\r\n"), "{said:?}");
    let ready = wire.one("GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(ready.status, 200);
    for other in others {
        other.abort();
    }
}

#[tokio::test]
async fn silent_connections_make_room_for_others() {
    let wire = Wire::with(|builder| builder.connections(3)).await;
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(TcpStream::connect(wire.address).await.unwrap());
    }
    let ready = wire.one("GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(ready.status, 200);
}

#[tokio::test]
async fn writes_of_one_key_have_a_rate_limit() {
    let wire = Wire::with(|builder| builder.writes_per_second(1)).await;
    let other = wire.admin_key(Preset::Admin.scopes()).await;
    let call = async |method: &str, key: &str| {
        let path = if method == "GET" { "/api/v1/stacks" } else { "/api/v1/auth/pak" };
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n");
        let length = if method == "GET" { "" } else { "content-length: 0\r\n" };
        wire.one(format!("{head}{length}\r\n")).await
    };
    let mut refused = None;
    for _ in 0..5 * limits::RATE_BURST {
        let said = call("POST", &wire.admin).await;
        if said.status != 200 {
            refused = Some(said);
            break;
        }
    }
    let refused = refused.expect("the rate is limited");
    assert_eq!((refused.status, refused.slug().as_str()), (429, "rate-limited"));
    assert!(refused.head.contains("\r\nretry-after: "), "{refused:?}");
    assert_eq!(call("GET", &wire.admin).await.status, 200, "reads have a rate of their own");
    assert_eq!(call("POST", &other).await.status, 200, "another key");
}
