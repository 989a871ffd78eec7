//! Whether a connection has open requests, and since when it has none.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The open requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    open: usize,
    /// When the last request ended, or the connection began.
    since: Instant,
}

impl Activity {
    /// Begins without a request.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { open: 0, since: Instant::now() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request.
    pub(super) fn begin(&self) -> OpenRequest {
        self.state().open += 1;
        OpenRequest(self.clone())
    }

    /// How long the connection has had no open request; `None` if it has one.
    pub(super) fn unused(&self) -> Option<Duration> {
        let state = self.state();
        (state.open == 0).then(|| state.since.elapsed())
    }

    /// Waits until the connection has had no open request for `most`, or has none when others need its place.
    ///
    /// One timer, which requests do not touch.
    pub(super) async fn is_unused(&self, most: Duration, crowded: &Notify) {
        loop {
            let left = match self.unused() {
                Some(unused) if unused >= most => return,
                Some(unused) => most - unused,
                None => most,
            };
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = crowded.notified() => if self.unused().is_some() { return },
            }
        }
    }
}

/// A request that has no complete response yet. Ends when dropped.
#[derive(Debug)]
pub(super) struct OpenRequest(Activity);

impl OpenRequest {
    /// Keeps the request open until the connection has taken the response's body.
    pub(super) fn until_taken(self, response: Response) -> Response<Answer> {
        response.map(|body| Answer { body, _open: self })
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open -= 1;
        state.since = Instant::now();
    }
}

/// The body of a response, with its request.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _open: OpenRequest,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const MOST: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn connection_is_unused_after_its_last_request() {
        let (activity, crowded) = (Activity::new(), Notify::new());
        let began = Instant::now();
        let requests = async {
            for seconds in [50, 70, 10] {
                tokio::time::sleep(Duration::from_secs(30)).await;
                let open = (activity.begin(), activity.begin());
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                drop(open.0);
                let answer = open.1.until_taken(Response::new(Body::empty()));
                tokio::time::sleep(Duration::from_secs(5)).await;
                drop(answer);
            }
        };
        tokio::join!(requests, activity.is_unused(MOST, &crowded));
        assert_eq!(began.elapsed(), Duration::from_secs(3 * 30 + 50 + 70 + 10 + 3 * 5 + 60));
    }

    #[tokio::test(start_paused = true)]
    async fn connection_without_a_request_makes_room_for_others() {
        let (activity, crowded) = (Activity::new(), Notify::new());
        let mut unused = Box::pin(activity.is_unused(MOST, &crowded));
        let open = activity.begin();
        for _ in 0..2 {
            assert!((&mut unused).now_or_never().is_none());
            crowded.notify_waiters();
        }
        assert!((&mut unused).now_or_never().is_none(), "it has a request");
        drop(open);
        crowded.notify_waiters();
        assert!((&mut unused).now_or_never().is_some());
        assert!(activity.unused().is_some_and(|it| it < MOST));
    }
}
