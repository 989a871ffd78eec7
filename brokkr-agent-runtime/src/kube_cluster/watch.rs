//! Watches: streams of JSON lines.

use brokkr_reconcile::cluster::{ApiKind, ClusterError, ClusterResult, ListOptions, WatchEvent};
use bytes::BytesMut;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

use super::request::{Call, path, query};
use super::{JSON, KubeCluster, errors, version_of};

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Maximum bytes of one event. etcd stores far smaller objects only.
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
        ("timeoutSeconds", "290"),
        ("resourceVersion", resource_version),
    ];
    if !options.label_selector.is_empty() {
        parameters.push(("labelSelector", &options.label_selector));
    }
    let mut call = Call::new(Method::GET, query(path(kind, namespace, None), &parameters));
    call.accept = if options.metadata_only { METADATA } else { JSON };
    let answer = cluster.client.send(call.into_request()?).await.map_err(|error| errors::from_transport(&error))?;
    let (parts, body) = answer.into_parts();
    if !parts.status.is_success() {
        let said = body.collect().await.map(|it| it.to_bytes()).unwrap_or_default();
        return Err(errors::from_answer(parts.status, None, &said));
    }
    let lines = stream::unfold(Some((body, BytesMut::new())), |state| async {
        let (mut body, mut buffer) = state?;
        match next_line(&mut body, &mut buffer).await {
            Ok(Some(line)) => Some((event(&line), Some((body, buffer)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(lines.boxed())
}

async fn next_line(body: &mut Body, buffer: &mut BytesMut) -> ClusterResult<Option<BytesMut>> {
    loop {
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            return Ok(Some(buffer.split_to(end + 1)));
        }
        if buffer.len() > LINE_BYTES {
            return Err(ClusterError::TooLarge("an event of a watch".to_owned()));
        }
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => {
                return Err(ClusterError::unavailable(format!("the watch ended unexpectedly: {error}")));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    buffer.extend_from_slice(&data);
                }
            }
        }
    }
}

fn event(line: &[u8]) -> ClusterResult<WatchEvent> {
    let mut event: Value =
        serde_json::from_slice(line).map_err(|_| ClusterError::unavailable("a watch event is not JSON"))?;
    let object = event["object"].take();
    match event["type"].as_str() {
        Some("ADDED" | "MODIFIED") => Ok(WatchEvent::Applied(object)),
        Some("DELETED") => Ok(WatchEvent::Deleted(object)),
        Some("BOOKMARK") => Ok(WatchEvent::Bookmark(version_of(&object))),
        _ => {
            let code = object["code"].as_u64().and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok());
            let status = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Err(errors::from_answer(status, None, object.to_string().as_bytes()))
        }
    }
}
