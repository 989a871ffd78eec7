//! Watches: streams of newline-delimited JSON.

use std::time::Duration;

use brokkr_reconcile::cluster::{ApiKind, ClusterError, ClusterResult, ListOptions, WatchEvent};
use bytes::BytesMut;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

use super::request::{ApiRequest, in_time, path, query, read_response};
use super::{JSON, KubeCluster, errors, version_of};

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// How long the server keeps a watch open, in seconds. Below the five minutes of its own default, so that the agent and not a proxy
/// on the way decides.
const OPEN_SECONDS: &str = "290";
/// How long a watch may stay silent. Beyond what the server was asked for, the connection is lost.
const SILENCE: Duration = Duration::from_secs(330);
/// Maximum bytes of one event. etcd limits an object to about 1.5 MiB.
const LINE_BYTES: usize = 16 * 1024 * 1024;

pub(super) async fn watch(
    cluster: &KubeCluster,
    kind: &ApiKind,
    namespace: Option<&str>,
    options: &ListOptions,
    resource_version: &str,
) -> ClusterResult<BoxStream<'static, ClusterResult<WatchEvent>>> {
    let mut parameters = vec![
        ("watch", "true"),
        ("allowWatchBookmarks", "true"),
        ("timeoutSeconds", OPEN_SECONDS),
        ("resourceVersion", resource_version),
    ];
    if !options.label_selector.is_empty() {
        parameters.push(("labelSelector", &options.label_selector));
    }
    let mut request = ApiRequest::new(Method::GET, query(path(kind, namespace, None), &parameters));
    request.accept = if options.metadata_only { METADATA } else { JSON };
    let request = request.into_http(cluster.user.as_deref())?;
    let opened = in_time(async {
        let response = cluster.client.send(request).await.map_err(|error| errors::from_transport(&error))?;
        if response.status().is_success() {
            Ok(response.into_body())
        } else {
            Err(read_response(response).await?.into_error())
        }
    });
    let lines = stream::unfold(Some((opened.await?, Buffer::default())), |state| async {
        let (mut body, mut buffer) = state?;
        match next_line(&mut body, &mut buffer).await {
            Ok(Some(line)) => Some((event(&line), Some((body, buffer)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(lines.boxed())
}

/// Received bytes without a complete line.
#[derive(Default)]
struct Buffer {
    bytes: BytesMut,
    /// Length of the beginning that contains no line break.
    searched: usize,
}

impl Buffer {
    fn take_line(&mut self) -> Option<BytesMut> {
        let Some(end) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            return None;
        };
        let line = self.bytes.split_to(self.searched + end + 1);
        self.searched = 0;
        Some(line)
    }
}

async fn next_line(body: &mut Body, buffer: &mut Buffer) -> ClusterResult<Option<BytesMut>> {
    loop {
        if let Some(line) = buffer.take_line() {
            return Ok(Some(line));
        }
        if buffer.bytes.len() > LINE_BYTES {
            return Err(ClusterError::TooLarge("an event of a watch".to_owned()));
        }
        let frame = tokio::time::timeout(SILENCE, body.frame());
        match frame.await.map_err(|_| ClusterError::unavailable("the watch is silent for too long"))? {
            None => return Ok(None),
            Some(Err(error)) => {
                return Err(ClusterError::unavailable(format!("the watch ended unexpectedly: {error}")));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    buffer.bytes.extend_from_slice(&data);
                }
            }
        }
    }
}

fn event(line: &[u8]) -> ClusterResult<WatchEvent> {
    let mut event: Value =
        serde_json::from_slice(line).map_err(|_| ClusterError::unavailable("a watch event is not JSON"))?;
    let object = event.get_mut("object").map(Value::take).unwrap_or_default();
    match event.get("type").and_then(Value::as_str) {
        Some("ADDED" | "MODIFIED") => Ok(WatchEvent::Changed(object)),
        Some("DELETED") => Ok(WatchEvent::Deleted(object)),
        Some("BOOKMARK") => Ok(WatchEvent::Bookmark(version_of(&object))),
        _ => {
            let code = object["code"].as_u64().and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok());
            let status = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Err(errors::from_response(status, None, object.to_string().as_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_event_is_an_error() {
        for line in
            ["", "7", "[]", "null", "\"ADDED\"", "{}", r#"{"type": "ADDED""#, r#"{"object": {}}"#, r#"{"type": 1}"#]
        {
            assert!(event(line.as_bytes()).is_err(), "{line}");
        }
        let gone = event(br#"{"type": "ERROR", "object": {"kind": "Status", "code": 410}}"#);
        assert!(matches!(gone, Err(ClusterError::Expired(_))), "{gone:?}");
        let added = event(br#"{"type": "ADDED", "object": {"kind": "ConfigMap"}}"#);
        assert!(matches!(added, Ok(WatchEvent::Changed(_))), "{added:?}");
    }

    #[test]
    fn lines_are_split_wherever_frames_end() {
        let mut buffer = Buffer::default();
        let mut lines = Vec::new();
        for frame in ["a", "b", "c\nd", "\n\n", "e"] {
            buffer.bytes.extend_from_slice(frame.as_bytes());
            lines.extend(std::iter::from_fn(|| buffer.take_line()));
        }
        assert_eq!(lines, ["abc\n", "d\n", "\n"]);
        assert_eq!(&buffer.bytes[..], b"e");
    }
}
