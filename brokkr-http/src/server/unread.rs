//! Bodies that a route does not read to their end.
//!
//! If a server closes a connection while the client is still sending, the client may lose the response. So the rest of the
//! body is received and discarded, within limits, while the response is on its way.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{Version, header};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Limits of what is discarded of one body.
const DISCARDED_BYTES: usize = 64 * 1024 * 1024;
const DISCARDED_TIME: Duration = Duration::from_secs(5);

/// Whether a request's body was read to its end.
#[derive(Debug)]
pub(super) struct Reading {
    ended: Arc<AtomicBool>,
    /// In HTTP/2 each request has a stream of its own, which ends without the others.
    is_http_1: bool,
}

impl Reading {
    /// Follows the body of a request.
    pub(super) fn of(request: Request) -> (Self, Request) {
        let reading = Self { ended: Arc::default(), is_http_1: request.version() < Version::HTTP_2 };
        // A client that waits for `100 Continue` has not sent its body.
        let discards = reading.is_http_1 && !request.headers().contains_key(header::EXPECT);
        let request =
            request.map(|body| Body::new(Followed { body: Some(body), discards, ended: reading.ended.clone() }));
        (reading, request)
    }

    /// Whether the next request on the connection would follow a body that nobody reads.
    pub(super) fn blocks_connection(&self) -> bool {
        self.is_http_1 && !self.ended.load(Ordering::Relaxed)
    }
}

struct Followed {
    /// `None` after the end.
    body: Option<Body>,
    discards: bool,
    ended: Arc<AtomicBool>,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        if matches!(frame, None | Some(Err(_))) || body.is_end_stream() {
            self.ended.store(true, Ordering::Relaxed);
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|_| self.discards) else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(DISCARDED_TIME, discard(body)));
        }
    }
}

async fn discard(mut body: Body) {
    let mut left = DISCARDED_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(1, Bytes::len)) {
            Some(less) => left = less,
            None => return,
        }
    }
}
