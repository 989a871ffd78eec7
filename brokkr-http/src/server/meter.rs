//! Counting requests, for hosts that record metrics.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

/// What was counted so far, by route, method and status: a bounded number, as none of them is what clients make up.
///
/// The handles are kept. To find one by its labels at every request would cost a poll more than to look up its answer.
#[derive(Default)]
pub(crate) struct Meter(RwLock<HashMap<Box<str>, OfRoute>>);

type OfRoute = HashMap<(&'static str, StatusCode), Handles>;

struct Handles {
    requests: Counter,
    seconds: Histogram,
}

impl Handles {
    fn of(route: &str, method: &'static str, status: StatusCode) -> Self {
        let (route, status) = (route.to_owned(), status.as_str().to_owned());
        // Long polls take as long as they are asked to: their time says nothing.
        let seconds = if route.ends_with("/target-state") {
            Histogram::noop()
        } else {
            histogram!("brokkr_http_request_seconds", "method" => method, "route" => route.clone())
        };
        let requests = counter!("brokkr_http_requests_total", "method" => method, "route" => route, "status" => status);
        Self { requests, seconds }
    }

    fn record(&self, took: Duration) {
        self.requests.increment(1);
        self.seconds.record(took);
    }
}

impl Meter {
    pub(super) fn record(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let method = label(method);
        // A poisoned lock means that a recorder panicked; what is there still counts.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(handles) = known.get(route).and_then(|it| it.get(&(method, status))) {
            handles.record(took);
            return;
        }
        drop(known);
        let handles = Handles::of(route, method, status);
        handles.record(took);
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(route.into())
            .or_default()
            .insert((method, status), handles);
    }
}

fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        // Whatever else clients make up must not become a label.
        _ => "other",
    }
}
