//! A load of equal requests over many connections. It costs little CPU time and is the same for
//! every server in a comparison.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Result, percentile};

/// A request without a response after this time has failed, and its connection closes.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// The result of a load.
#[derive(Debug)]
pub(crate) struct Load {
    /// Responses with the expected status per second.
    pub(crate) per_second: f64,
    /// Number of requests without such a response.
    pub(crate) failed: u64,
    /// 99th percentile of the response time, in milliseconds.
    pub(crate) p99_ms: f64,
    /// Maximum response time, in milliseconds. Requests that time out only count in `failed`.
    pub(crate) slowest_ms: f64,
}

/// Sends requests over each connection one after the other, for `during`. `request` returns the bytes of the n-th request of a
/// connection.
pub(crate) async fn load(
    address: &str,
    connections: usize,
    during: Duration,
    expected: u16,
    request: impl Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static,
) -> Result<Load> {
    let request = Arc::new(request);
    let stop = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for connection in 0..connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (request, stop, failed) = (request.clone(), stop.clone(), failed.clone());
        tasks.push((stream, connection, request, stop, failed));
    }
    let began = Instant::now();
    let running: Vec<_> = tasks
        .into_iter()
        .map(|(stream, connection, request, stop, failed)| {
            tokio::spawn(
                async move { send_until_stopped(stream, connection, expected, &*request, &stop, &failed).await },
            )
        })
        .collect();
    tokio::time::sleep(during).await;
    stop.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    for task in running {
        times.extend(task.await?.iter().map(|time| time.as_secs_f64() * 1000.0));
    }
    let elapsed = began.elapsed().as_secs_f64();
    Ok(Load {
        per_second: times.len() as f64 / elapsed,
        failed: failed.load(Ordering::Relaxed),
        p99_ms: percentile(&mut times, 0.99),
        slowest_ms: times.iter().copied().fold(0.0, f64::max),
    })
}

/// Sends requests over one connection until `stop`. Returns the response times of the successful ones.
async fn send_until_stopped(
    mut stream: TcpStream,
    connection: usize,
    expected: u16,
    request: &(impl Fn(usize, u64) -> Vec<u8> + Send + Sync),
    stop: &AtomicBool,
    failed: &AtomicU64,
) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut buffer = Vec::with_capacity(16 * 1024);
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let response = tokio::time::timeout(TIMEOUT, async {
            stream.write_all(&request(connection, number)).await?;
            read_response(&mut stream, &mut buffer).await
        });
        match response.await {
            Ok(Ok(status)) if status == expected => times.push(began.elapsed()),
            Ok(Ok(_)) => drop(failed.fetch_add(1, Ordering::Relaxed)),
            Ok(Err(_)) | Err(_) => {
                failed.fetch_add(1, Ordering::Relaxed);
                return times;
            }
        }
        number += 1;
    }
    times
}

/// Reads one complete response and returns its status.
pub(crate) async fn read_response(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<u16> {
    buffer.clear();
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let head = loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text =
        std::str::from_utf8(buffer.get(..head).ok_or_else(invalid)?).map_err(|_| invalid())?.to_ascii_lowercase();
    let status: u16 = text.get(9..12).and_then(|it| it.parse().ok()).ok_or_else(invalid)?;
    // A chunked response has no length, so its end would be taken for the next response.
    if text.lines().any(|line| line.starts_with("transfer-encoding:")) {
        return Err(invalid());
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let whole = head + if status == 304 || status == 204 { 0 } else { length.ok_or_else(invalid)? };
    while buffer.len() < whole {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(status)
}
