//! Requests to a broker or an API server by clients other than agents.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::key::Key;
use crate::Result;

/// Maximum number of retries while the API server is busy, half a second apart.
const BUSY: u32 = 20;

/// An address and a token for it.
#[derive(Clone)]
pub(crate) struct Rest {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) token: String,
}

impl Rest {
    /// Sends a request. Returns status and body; fails without a response.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value)> {
        self.ask_text(method, path, kind, body.map(Value::to_string)).await
    }

    /// Sends a request with a body of any content type.
    pub(crate) async fn ask_text(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Option<String>,
    ) -> Result<(u16, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", kind).body(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.bytes().await?;
        Ok((status, serde_json::from_slice(&text).unwrap_or_default()))
    }

    /// Sends a request. Returns the body; fails unless the status is a success.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        self.must(method, path, "application/json", body).await
    }

    pub(crate) async fn must(&self, method: Method, path: &str, kind: &str, body: Option<&Value>) -> Result<Value> {
        let (status, answer) = self.ask(method.clone(), path, kind, body).await?;
        if (200..300).contains(&status) {
            Ok(answer)
        } else {
            Err(format!("{method} {path}: {status} {answer}").into())
        }
    }
}

/// Requests as the administrator of a cluster.
#[derive(Clone)]
pub(crate) struct Kube(pub(crate) Rest);

impl Kube {
    /// Retries while the server is busy: a newly defined kind has no storage yet.
    pub(crate) async fn read(&self, path: &str) -> Result<(u16, Value)> {
        for _ in 0..BUSY {
            let (status, answer) = self.0.ask(Method::GET, path, "", None).await?;
            if status != 429 {
                return Ok((status, answer));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Err(format!("GET {path}: the API server stayed busy").into())
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Value>> {
        match self.read(&key.path()).await? {
            (200, object) => Ok(Some(object)),
            (404, _) => Ok(None),
            (status, answer) => Err(format!("GET {key}: {status} {answer}").into()),
        }
    }

    /// All objects of a kind in all namespaces; none if the kind is not served.
    pub(crate) async fn list(&self, group: &str, plural: &str, selector: &str) -> Result<Vec<Value>> {
        let path = format!("{}/{plural}?labelSelector={selector}", Key::root(group));
        match self.read(&path).await? {
            (200, mut list) => Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default()),
            (404, _) => Ok(Vec::new()),
            (status, answer) => Err(format!("GET {path}: {status} {answer}").into()),
        }
    }

    /// Applies an object as a person, with force.
    pub(crate) async fn apply(&self, manifest: &Value) -> Result<Value> {
        let path = format!("{}?fieldManager=human&force=true", Key::of(manifest).path());
        self.0.must(Method::PATCH, &path, "application/apply-patch+yaml", Some(manifest)).await
    }

    /// Patches an object as a person.
    pub(crate) async fn merge(&self, key: &Key, patch: &Value) -> Result<Value> {
        let path = format!("{}?fieldManager=kubectl-edit", key.path());
        self.0.must(Method::PATCH, &path, "application/merge-patch+json", Some(patch)).await
    }

    /// Deletes an object if it exists.
    pub(crate) async fn delete(&self, key: &Key) -> Result<()> {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
        match self.0.ask(Method::DELETE, &key.path(), "application/json", Some(&options)).await? {
            (200 | 202 | 404, _) => Ok(()),
            (status, answer) => Err(format!("DELETE {key}: {status} {answer}").into()),
        }
    }
}
