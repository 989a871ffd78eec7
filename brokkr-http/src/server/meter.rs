//! Request metrics.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, describe_counter, describe_gauge, histogram};

/// Requests that a limit refused, by limit.
pub(super) const REFUSED: &str = "brokkr_http_refused_total";
/// Requests that are being served, by class of work.
pub(super) const IN_FLIGHT: &str = "brokkr_http_in_flight";

/// Registers the descriptions of the metrics of limits.
pub(super) fn describe() {
    describe_counter!(REFUSED, "Requests that a limit refused, by limit");
    describe_gauge!(IN_FLIGHT, "Requests that are being served, by class of work; waiting polls do not count");
}

/// Request counters and durations by route, method and status. The number of label sets is bounded, because clients cannot
/// invent any of these values.
///
/// The metric handles are cached: a lookup by labels costs more than a poll's answer.
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
        // A long poll lasts as long as the client requests, so its duration has no meaning.
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
        // A poisoned lock means that a metrics recorder panicked; the cached handles are still valid.
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
        // Unknown methods share one label, so that clients cannot create labels.
        _ => "other",
    }
}
