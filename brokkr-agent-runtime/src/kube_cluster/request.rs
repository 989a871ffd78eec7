//! A request to the API server.

use std::time::Duration;

use brokkr_reconcile::cluster::{ApiKind, ClusterError, ClusterResult, ImpersonatedUser};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::client::Body;
use serde_json::Value;

use super::{JSON, KubeCluster, errors};

/// Identifies the agent in the API server's audit log and flow control.
const USER_AGENT: &str = concat!("brokkr-agent/", env!("CARGO_PKG_VERSION"));
/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum bytes of a response. A page of a list is far smaller.
const RESPONSE_BYTES: usize = 256 * 1024 * 1024;

pub(super) struct ApiRequest {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) accept: &'static str,
    pub(super) body: Option<(&'static str, String)>,
}

impl ApiRequest {
    pub(super) fn new(method: Method, uri: String) -> Self {
        Self { method, uri, accept: JSON, body: None }
    }

    /// Builds the HTTP request, as another user if there is one.
    pub(super) fn into_http(self, user: Option<&ImpersonatedUser>) -> ClusterResult<Request<Body>> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.uri)
            .header("accept", self.accept)
            .header("user-agent", USER_AGENT);
        if let Some(user) = user {
            request = request.header("impersonate-user", &user.name);
            for group in &user.groups {
                request = request.header("impersonate-group", group);
            }
        }
        let body = match self.body {
            None => Body::empty(),
            Some((kind, body)) => {
                request = request.header("content-type", kind);
                Body::from(body.into_bytes())
            }
        };
        request.body(body).map_err(|error| ClusterError::Invalid(format!("cannot build the request: {error}")))
    }
}

pub(super) struct ApiResponse {
    pub(super) status: StatusCode,
    retry_after: Option<Duration>,
    body: Bytes,
}

impl ApiResponse {
    /// Returns the body as JSON, or an error if the server rejected the request or failed.
    pub(super) fn json(self) -> ClusterResult<Value> {
        if !self.status.is_success() {
            return Err(self.into_error());
        }
        serde_json::from_slice(&self.body).map_err(|_| ClusterError::unavailable("the server's response is not JSON"))
    }

    /// Returns the error that the server read_response with.
    pub(super) fn into_error(self) -> ClusterError {
        errors::from_response(self.status, self.retry_after, &self.body)
    }

    /// Whether a 404 means that this object does not exist, rather than that its kind is not served.
    pub(super) fn is_about(&self, name: &str) -> bool {
        let status: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        status.pointer("/details/name").and_then(Value::as_str) == Some(name)
    }
}

impl KubeCluster {
    pub(super) async fn send(&self, request: ApiRequest) -> ClusterResult<ApiResponse> {
        let request = request.into_http(self.user.as_deref())?;
        in_time(async {
            let response = self.client.send(request).await.map_err(|error| errors::from_transport(&error))?;
            read_response(response).await
        })
        .await
    }
}

/// Bounds the time of an exchange.
pub(super) async fn in_time<T>(exchange: impl Future<Output = ClusterResult<T>>) -> ClusterResult<T> {
    tokio::time::timeout(TIMEOUT, exchange)
        .await
        .unwrap_or_else(|_| Err(ClusterError::unavailable("the server did not respond in time")))
}

/// Reads a response to its end.
pub(super) async fn read_response(response: Response<Body>) -> ClusterResult<ApiResponse> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, RESPONSE_BYTES).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return ClusterError::TooLarge(format!("the server's response exceeds {RESPONSE_BYTES} bytes"));
        }
        ClusterError::unavailable(format!("the connection failed during the response: {error}"))
    })?;
    let retry_after = parts.headers.get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
    Ok(ApiResponse { status: parts.status, retry_after: retry_after.map(Duration::from_secs), body: body.to_bytes() })
}

/// Returns the URL path of a kind's objects, or of one object.
pub(super) fn path(kind: &ApiKind, namespace: Option<&str>, name: Option<&str>) -> String {
    let mut path = if kind.group.is_empty() {
        format!("/api/{}", kind.version)
    } else {
        format!("/apis/{}/{}", kind.group, kind.version)
    };
    if let Some(namespace) = namespace.filter(|_| kind.namespaced) {
        path.push_str("/namespaces/");
        path.push_str(&encode(namespace));
    }
    path.push('/');
    path.push_str(&kind.plural);
    if let Some(name) = name {
        path.push('/');
        path.push_str(&encode(name));
    }
    path
}

pub(super) fn query(path: String, parameters: &[(&str, &str)]) -> String {
    let parameters: Vec<String> = parameters.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    format!("{path}?{}", parameters.join("&"))
}

/// Percent-encodes all but unreserved characters (RFC 3986, section 2.3).
fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        use std::fmt::Write as _;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String never fails.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
