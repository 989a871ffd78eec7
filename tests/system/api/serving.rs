//! A server and the clients that nobody wants: slow, silent, and not leaving.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::broker::Broker;
use brokkr_core::store::MemoryStore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

async fn served() -> Served {
    let broker = Broker::builder(Arc::new(MemoryStore::new())).start().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let server = tokio::spawn(brokkr_http::server::serve(listener, brokkr_http::server::router(broker), stopped));
    Served { address, stop, server }
}

/// Sends this much and nothing more; what comes until the server ends the connection.
async fn answer(address: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = connection.read_to_end(&mut answer).await;
    answer
}

// Time is the runtime's own in these tests: it jumps ahead whenever everybody waits.
#[tokio::test(start_paused = true)]
async fn who_sends_too_slowly_loses_the_connection_and_nobody_else_does() {
    let served = served().await;
    for sent in [&b""[..], b"GET /healthz HT", b"PRI * HTTP/2.0\r\n", b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: "] {
        let said = answer(served.address, sent).await;
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&said));
    }
    let said = answer(served.address, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_answered() {
    let served = served().await;
    let head = b"POST /api/v1/auth/pak HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    let said = answer(served.address, head).await;
    assert!(said.starts_with(b"HTTP/1.1 401"), "no key, no reading: {}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn silent_connections_do_not_hold_up_the_end() {
    let served = served().await;
    let _silent = TcpStream::connect(served.address).await.unwrap();
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    served.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), served.server).await.expect("ends at once").unwrap().unwrap();
}
