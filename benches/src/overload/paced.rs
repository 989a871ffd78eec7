//! Requests at a given rate, over a number of connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::Result;
use crate::http_load::read_response;

/// A request without an answer after this time has failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// 0 if there was none.
    pub(super) status: u16,
    /// The time from when the request was due.
    pub(super) since_due: Duration,
    /// The time from when it was sent, which can be later if all connections waited.
    pub(super) since_sent: Duration,
}

/// Sends requests at a rate until the time is over. A request that is due while all connections wait is sent as soon as one is
/// free; those not sent by the end are left out. `request` returns the bytes of the n-th request of all.
pub(super) async fn paced(
    address: &str,
    connections: usize,
    per_second: f64,
    during: Duration,
    request: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
) -> Result<Vec<Answered>> {
    let request = Arc::new(request);
    let began = Instant::now();
    let mut tasks = Vec::new();
    for connection in 0..connections {
        let (address, request) = (address.to_owned(), request.clone());
        tasks.push(tokio::spawn(async move {
            let mut answered = Vec::new();
            let mut stream = None;
            for round in 0_u64.. {
                let number = round * connections as u64 + connection as u64;
                let due = began + Duration::from_secs_f64(number as f64 / per_second);
                if due >= began + during || began.elapsed() >= during {
                    break;
                }
                tokio::time::sleep_until(due.into()).await;
                let sent = Instant::now();
                let status = tokio::time::timeout(TIMEOUT, one(&address, &mut stream, &request(number))).await;
                let status = match status {
                    Ok(Ok(status)) => status,
                    _ => {
                        stream = None;
                        0
                    }
                };
                answered.push(Answered { status, since_due: due.elapsed(), since_sent: sent.elapsed() });
            }
            answered
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await?);
    }
    Ok(all)
}

async fn one(address: &str, stream: &mut Option<TcpStream>, request: &[u8]) -> std::io::Result<u16> {
    let stream = match stream {
        Some(stream) => stream,
        None => {
            let connected = TcpStream::connect(address).await?;
            connected.set_nodelay(true)?;
            stream.insert(connected)
        }
    };
    stream.write_all(request).await?;
    read_response(stream, &mut Vec::with_capacity(4096)).await
}

/// The bytes of a request with a key.
pub(super) fn request(method: &str, path: &str, key: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = if matches!(method, "GET") { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!(
        "{method} /api/v1{path} HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer {key}\r\n{fields}{length}\r\n{body}"
    )
    .into_bytes()
}
