//! The first bytes of a connection, which tell HTTP/2 from HTTP/1.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

/// Interval at which the server checks a connection that has sent only part of its first bytes.
const PEEK_INTERVAL: Duration = Duration::from_millis(20);
/// The HTTP/2 connection preface (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the connection begins with the HTTP/2 preface. Fails if the client disconnects before that is known.
pub(super) async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut first).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[..count] != PREFACE[..count] {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(PEEK_INTERVAL).await;
    }
}
