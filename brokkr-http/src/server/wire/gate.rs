//! The connection of an HTTP/1 client, from which hyper reads only checked messages.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::chunks::Chunks;
use super::head::{self, Following, Refusal};

/// The request that takes the place of a refused message.
const INSTEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// Bytes that are read at once.
const CHUNK: usize = 8 * 1024;
/// Limits of what is discarded after a refused message, so that the client can read the response.
const DISCARDED_BYTES: usize = 1024 * 1024;
const DISCARDED_TIME: Duration = Duration::from_secs(1);

/// The refused message of a connection, if any. Shared with the service that answers the connection's requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refused(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The number of requests before it, and the reason.
    refused: OnceLock<(u64, Refusal)>,
    served: AtomicU64,
}

impl Refused {
    /// Counts a request that the service got. Returns the reason if it takes the place of a refused message.
    pub(crate) fn next(&self) -> Option<Refusal> {
        let number = self.0.served.fetch_add(1, Ordering::Relaxed);
        self.0.refused.get().filter(|(at, _)| *at == number).map(|(_, refusal)| *refusal)
    }
}

/// What the next bytes from the client are.
enum Expected {
    Head,
    Body(u64),
    Chunks(Chunks),
    /// Nothing more: the framing of the body is invalid. hyper ends the body with an error, and its request gets the
    /// response to an incomplete body.
    Invalid,
    /// Nothing more: the message is refused.
    Nothing {
        discarded: usize,
    },
}

/// What hyper reads of a client's bytes if they arrive in pieces of this size. For fuzzing.
pub fn passes(bytes: &[u8], size: usize) -> Vec<u8> {
    let (mut gate, _) = Gate::new(());
    for piece in bytes.chunks(size.max(1)) {
        gate.take(piece);
    }
    gate.checked
}

/// A connection that checks what hyper reads.
pub(crate) struct Gate<S> {
    stream: S,
    expected: Expected,
    /// An incomplete head.
    head: Vec<u8>,
    /// Checked bytes that hyper has not read, from `read` on.
    checked: Vec<u8>,
    read: usize,
    /// Heads so far.
    heads: u64,
    refused: Refused,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Gate<S> {
    pub(crate) fn new(stream: S) -> (Self, Refused) {
        let refused = Refused::default();
        let gate = Self {
            stream,
            expected: Expected::Head,
            head: Vec::new(),
            checked: Vec::new(),
            read: 0,
            heads: 0,
            refused: refused.clone(),
            lingering: None,
        };
        (gate, refused)
    }

    /// Checks bytes from the client.
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = match &mut self.expected {
                Expected::Head => match self.take_head(bytes) {
                    Ok(count) => count,
                    Err(refusal) => {
                        self.refuse(refusal);
                        return;
                    }
                },
                Expected::Body(left) => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= count as u64;
                    if *left == 0 {
                        self.expected = Expected::Head;
                    }
                    self.checked.extend_from_slice(bytes.get(..count).unwrap_or_default());
                    count
                }
                Expected::Chunks(chunks) => {
                    let Ok(count) = chunks.take(bytes) else {
                        self.expected = Expected::Invalid;
                        return;
                    };
                    if chunks.is_done() {
                        self.expected = Expected::Head;
                    }
                    self.checked.extend_from_slice(bytes.get(..count).unwrap_or_default());
                    count
                }
                Expected::Invalid => return,
                Expected::Nothing { discarded } => {
                    *discarded += bytes.len();
                    bytes.len()
                }
            };
            bytes = bytes.get(count..).unwrap_or_default();
        }
    }

    /// Takes bytes of a head, and returns their number.
    fn take_head(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let before = self.head.len();
        if before == 0
            && let Some(end) = head::end(bytes, 0)?
        {
            let head = bytes.get(..end).unwrap_or_default();
            let following = head::check(head)?;
            self.checked.extend_from_slice(head);
            self.follow(following);
            return Ok(end);
        }
        self.head.extend_from_slice(bytes);
        let Some(end) = head::end(&self.head, before)? else {
            return Ok(bytes.len());
        };
        let mut head = std::mem::take(&mut self.head);
        head.truncate(end);
        let following = head::check(&head)?;
        self.checked.extend_from_slice(&head);
        self.follow(following);
        Ok(end - before)
    }

    fn follow(&mut self, following: Following) {
        self.heads += 1;
        self.expected = match following {
            Following::Length(0) => Expected::Head,
            Following::Length(length) => Expected::Body(length),
            Following::Chunks => Expected::Chunks(Chunks::default()),
        };
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.head = Vec::new();
        self.expected = Expected::Nothing { discarded: 0 };
        let _ = self.refused.0.refused.set((self.heads, refusal));
        self.checked.extend_from_slice(INSTEAD);
    }

    /// Moves checked bytes to hyper. Returns false if there are none.
    fn deliver(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let left = self.checked.get(self.read..).unwrap_or_default();
        let count = left.len().min(into.remaining());
        into.put_slice(left.get(..count).unwrap_or_default());
        self.read += count;
        if self.read == self.checked.len() {
            self.read = 0;
            // A waiting connection keeps no memory for a large message.
            if self.checked.capacity() > CHUNK { self.checked = Vec::new() } else { self.checked.clear() }
        }
        count > 0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        loop {
            if into.remaining() == 0 || gate.deliver(into) {
                return Poll::Ready(Ok(()));
            }
            if matches!(gate.expected, Expected::Nothing { discarded } if discarded > DISCARDED_BYTES) {
                return Poll::Pending;
            }
            if matches!(gate.expected, Expected::Invalid) {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            ready!(Pin::new(&mut gate.stream).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                // hyper would not answer a refused message if it knew that the client has finished.
                return if matches!(gate.expected, Expected::Nothing { .. }) {
                    Poll::Pending
                } else {
                    Poll::Ready(Ok(()))
                };
            }
            gate.take(chunk.filled());
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// Ends the response. After a refused message, receives what the client still sends, so that closing the connection does
    /// not take the response away.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.lingering.is_none() {
            ready!(Pin::new(&mut gate.stream).poll_shutdown(cx))?;
        }
        let Expected::Nothing { discarded } = &mut gate.expected else {
            return Poll::Ready(Ok(()));
        };
        let lingering = gate.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(DISCARDED_TIME)));
        while lingering.as_mut().poll(cx).is_pending() && *discarded <= DISCARDED_BYTES {
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            let read = ready!(Pin::new(&mut gate.stream).poll_read(cx, &mut chunk));
            if read.is_err() || chunk.filled().is_empty() {
                break;
            }
            *discarded += chunk.filled().len();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may panic")]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What hyper reads if the client sends `sent` in pieces of `size`.
    async fn passed(sent: &str, size: usize) -> (String, Option<io::ErrorKind>) {
        let (mut client, server) = tokio::io::duplex(1024 * 1024);
        for piece in sent.as_bytes().chunks(size) {
            client.write_all(piece).await.unwrap();
        }
        let (mut gate, refused) = Gate::new(server);
        let mut bytes = vec![0; 64];
        let mut all = Vec::new();
        drop(client);
        loop {
            match tokio::time::timeout(Duration::from_secs(1), gate.read(&mut bytes)).await {
                Ok(Ok(0)) => break,
                Ok(Ok(count)) => all.extend_from_slice(&bytes[..count]),
                Ok(Err(error)) => return (String::from_utf8(all).unwrap(), Some(error.kind())),
                // After a refused message hyper must not see the end.
                Err(_) => {
                    assert!(refused.0.refused.get().is_some());
                    break;
                }
            }
        }
        (String::from_utf8(all).unwrap(), None)
    }

    #[tokio::test(start_paused = true)]
    async fn messages_pass_unchanged_up_to_a_refused_one() {
        let get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let sized = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nGET\n\n";
        let chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\n\n\n\n\r\n0\r\n\r\n";
        let bad = "GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n";
        let instead = std::str::from_utf8(INSTEAD).unwrap();
        let half = "GET / HTTP/1.1\r\nho";
        let broken = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        for size in [1, 2, 7, 1000] {
            for (sent, expected, error) in [
                (format!("{get}{sized}{chunked}{get}"), format!("{get}{sized}{chunked}{get}"), None),
                (format!("{get}{bad}{get}"), format!("{get}{instead}"), None),
                (format!("{chunked}{bad}"), format!("{chunked}{instead}"), None),
                (format!("{get}{half}"), get.to_owned(), None),
                (format!("{broken}x\r\n{get}"), broken.to_owned(), Some(io::ErrorKind::InvalidData)),
            ] {
                let (passed, kind) = passed(&sent, size).await;
                // hyper reads the valid part of a body before the error.
                assert!(passed == expected || error.is_some() && passed.starts_with(&expected), "{sent:?}: {passed:?}");
                assert_eq!(kind, error, "{sent:?}");
            }
        }
    }

    #[test]
    fn requests_are_counted_up_to_the_refused_message() {
        let refused = Refused::default();
        refused.0.refused.set((2, Refusal::UriTooLong)).unwrap();
        assert_eq!([(); 4].map(|()| refused.next()), [None, None, Some(Refusal::UriTooLong), None]);
    }
}
