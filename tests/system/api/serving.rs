//! A server with slow, silent and long-lived connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use brokkr_control::{Broker, NewAgent, Origin};
use brokkr_core::model::limits;
use brokkr_core::protocol::{PollAnswer, PollRequest};
use brokkr_core::store::MemoryStore;
use brokkr_http::server::Server;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

async fn served() -> Served {
    serve(Broker::builder(Arc::new(MemoryStore::new())).start().await.unwrap(), limits::CONNECTIONS).await
}

async fn serve(broker: Broker, connections: usize) -> Served {
    let server = Server::builder(broker).connections(connections).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let server = tokio::spawn(server.run(stopped));
    Served { address, stop, server }
}

/// Sends these bytes only. Returns the response until the server closes the connection.
async fn answer(address: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A reset also closes the connection.
    let _ = connection.read_to_end(&mut answer).await;
    answer
}

// These tests use paused time, which advances whenever every task waits.
#[tokio::test(start_paused = true)]
async fn slow_sender_loses_its_connection_and_others_do_not() {
    let served = served().await;
    for sent in [&b""[..], b"GET /healthz HT", b"PRI * HTTP/2.0\r\n", b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: "] {
        let said = answer(served.address, sent).await;
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&said));
    }
    let said = answer(served.address, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test(start_paused = true)]
async fn body_without_a_key_is_refused_unread() {
    let served = served().await;
    let head = b"POST /api/v1/auth/pak HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    let said = answer(served.address, head).await;
    assert!(said.starts_with(b"HTTP/1.1 401"), "no key, no reading: {}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn silent_connections_do_not_delay_shutdown() {
    let served = served().await;
    let _silent = TcpStream::connect(served.address).await.unwrap();
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    served.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), served.server)
        .await
        .expect("the server ends at once")
        .unwrap()
        .unwrap();
}

/// Sends a request over an open connection. Returns whether a response arrives in time.
async fn is_served(connection: &mut TcpStream, within: Duration) -> bool {
    let mut answer = [0; 1024];
    let read = connection.read(&mut answer);
    matches!(tokio::time::timeout(within, read).await, Ok(Ok(count)) if answer[..count].starts_with(b"HTTP/1.1 200"))
}

#[tokio::test]
async fn connections_above_the_limit_wait() {
    const BOUND: usize = 5;
    let broker = Broker::builder(Arc::new(MemoryStore::new())).start().await.unwrap();
    let poll = waiting_poll(&broker).await;
    let served = serve(broker, BOUND).await;
    let mut open = Vec::new();
    for _ in 0..BOUND {
        let mut connection = TcpStream::connect(served.address).await.unwrap();
        let head = format!(
            "GET {} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\nif-none-match: {}\r\n\r\n",
            poll.path, poll.key, poll.etag
        );
        // In one connection after another: the response to the first request shows that the second one is being served.
        connection.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n{head}").as_bytes()).await.unwrap();
        assert!(is_served(&mut connection, Duration::from_secs(10)).await);
        open.push(connection);
    }
    let mut above = TcpStream::connect(served.address).await.unwrap();
    above.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(!is_served(&mut above, Duration::from_millis(300)).await, "one connection above the limit");
    open.pop();
    assert!(is_served(&mut above, Duration::from_secs(10)).await, "after another connection has closed");
}

/// A poll for a change that does not happen.
struct WaitingPoll {
    path: String,
    key: String,
    etag: String,
}

async fn waiting_poll(broker: &Broker) -> WaitingPoll {
    let new = NewAgent { name: "edge".to_owned(), ..NewAgent::default() };
    let (agent, pak) = broker.agent_create(&broker.system_actor(), new).await.unwrap();
    let pak = pak.pak.unwrap();
    let actor = broker.authenticate(pak.expose_secret(), Origin::in_process()).unwrap();
    let PollAnswer::Changed(state) = broker.target_state(&actor, agent.id, PollRequest::default()).await.unwrap()
    else {
        panic!("the first poll has no ETag")
    };
    WaitingPoll {
        path: format!("/api/v1/agents/{}/target-state?wait=60", agent.id),
        key: format!("Bearer {}", pak.expose_secret()),
        etag: format!("\"{}\"", state.digest),
    }
}

/// A client of HTTP/2 that sends no request, but answers what keeps the connection alive. Ends when the server closes it.
async fn unused(mut connection: TcpStream) {
    const PING: u8 = 6;
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &[]));
    connection.write_all(&sent).await.unwrap();
    let mut start = [0; 9];
    while connection.read_exact(&mut start).await.is_ok() {
        let mut payload = vec![0; u32::from_be_bytes([0, start[0], start[1], start[2]]) as usize];
        if connection.read_exact(&mut payload).await.is_err() {
            return;
        }
        if start[3] == PING && start[4] == 0 {
            // The acknowledgement.
            let _ = connection.write_all(&frame(PING, 1, 0, &payload)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unused_connections_end() {
    let served = served().await;
    let began = tokio::time::Instant::now();
    unused(TcpStream::connect(served.address).await.unwrap()).await;
    let after = began.elapsed();
    let expected = Duration::from_secs(limits::CONNECTION_UNUSED_SECONDS);
    assert!(after >= expected && after < expected * 2, "{after:?}");
}

#[tokio::test]
async fn unused_connections_make_room_for_others() {
    let broker = Broker::builder(Arc::new(MemoryStore::new())).start().await.unwrap();
    let served = serve(broker, 2).await;
    let mut kept = TcpStream::connect(served.address).await.unwrap();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(is_served(&mut kept, Duration::from_secs(10)).await);
    let unused = tokio::spawn(unused(TcpStream::connect(served.address).await.unwrap()));
    for _ in 0..2 {
        let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let said = tokio::time::timeout(Duration::from_secs(10), answer(served.address, request)).await.unwrap();
        assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
    }
    drop((kept, unused));
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The head of a request (RFC 7541): GET and http from the static table, the rest as literals with names of that table.
fn head(path: &str, key: &str, etag: &str) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x86];
    for (name, value) in [(&[0x01][..], "x"), (&[0x04], path), (&[0x0f, 0x08], key), (&[0x0f, 0x1a], etag)] {
        bytes.extend(name);
        bytes.push(u8::try_from(value.len()).ok().filter(|length| *length < 127).unwrap());
        bytes.extend(value.as_bytes());
    }
    bytes
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;

#[tokio::test]
async fn streams_above_the_limit_are_refused() {
    let broker = Broker::builder(Arc::new(MemoryStore::new())).start().await.unwrap();
    let poll = waiting_poll(&broker).await;
    let served = serve(broker.clone(), limits::CONNECTIONS).await;
    // Each stream polls for a change that does not happen.
    let head = head(&poll.path, &poll.key, &poll.etag);
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &[]));
    let streams = limits::STREAMS_PER_CONNECTION;
    // One stream above the limit. The flags are END_STREAM and END_HEADERS.
    for n in 0..=streams {
        sent.extend(frame(HEADERS, 0x5, 2 * n + 1, &head));
    }
    let mut connection = TcpStream::connect(served.address).await.unwrap();
    connection.write_all(&sent).await.unwrap();
    let (mut refused, mut answered, mut told) = (Vec::new(), 0, None);
    let reading = async {
        while answered < streams {
            let mut start = [0; 9];
            connection.read_exact(&mut start).await.unwrap();
            let length = u32::from_be_bytes([0, start[0], start[1], start[2]]) as usize;
            let stream = u32::from_be_bytes([start[5], start[6], start[7], start[8]]);
            let mut payload = vec![0; length];
            connection.read_exact(&mut payload).await.unwrap();
            match start[3] {
                SETTINGS if start[4] == 0 => {
                    // Setting 3 is SETTINGS_MAX_CONCURRENT_STREAMS.
                    told = payload.chunks(6).find(|it| it[..2] == [0, 3]).map(|it| it[2..].to_vec());
                }
                RST_STREAM => {
                    refused.push((stream, payload));
                    // Waiting polls get a response when the broker stops.
                    broker.shutdown().await;
                }
                HEADERS => answered += 1,
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("all streams up to the limit get a response");
    assert_eq!(told, Some(streams.to_be_bytes().to_vec()));
    // REFUSED_STREAM: the client may retry, because the server did not process the request.
    assert_eq!(refused, [(2 * streams + 1, vec![0, 0, 0, 7])]);
}
