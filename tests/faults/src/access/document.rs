//! The operations of the served OpenAPI document.

use serde_json::Value;

use super::client::{Client, Request};
use crate::Result;

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// An operation of the document.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// Method and path, such as `GET /api/v1/stacks/{id}`.
    pub(super) name: String,
    pub(super) method: String,
    pub(super) path: String,
    /// The media type of the body.
    pub(super) media_type: String,
    pub(super) needs_if_match: bool,
    /// For each parameter of the path, the words before it: `stacks`, `stacks/targets`.
    pub(super) nouns: Vec<String>,
}

impl Operation {
    fn new(method: &str, path: &str, operation: &Value) -> Self {
        let content = operation.pointer("/requestBody/content").and_then(Value::as_object);
        let media_type = content.and_then(|types| types.keys().find(|it| it.ends_with("json"))).cloned();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let mut nouns = Vec::new();
        let mut words = Vec::new();
        for part in path.trim_start_matches("/api/v1").split('/').filter(|part| !part.is_empty()) {
            if part.starts_with('{') { nouns.push(words.join("/")) } else { words.push(part) }
        }
        Self {
            name: format!("{} {path}", method.to_uppercase()),
            method: method.to_uppercase(),
            path: path.to_owned(),
            media_type: media_type.unwrap_or_default(),
            needs_if_match: parameters.into_iter().any(|it| it["name"] == "If-Match"),
            nouns,
        }
    }

    /// The path with ids in the place of its parameters.
    pub(super) fn filled(&self, ids: &[String]) -> String {
        let mut ids = ids.iter();
        let parts = self.path.split('/');
        let filled = parts.map(|part| if part.starts_with('{') { ids.next().map_or("", String::as_str) } else { part });
        filled.collect::<Vec<_>>().join("/")
    }

    /// The request with these ids.
    pub(super) fn request(&self, key: &str, ids: &[String], body: &str) -> Request {
        let request = Request::new(key, &self.method, self.filled(ids)).body(&self.media_type, body);
        if self.needs_if_match { request.with("if-match", "*") } else { request }
    }
}

/// Reads the document from the broker.
pub(super) async fn operations(client: &Client) -> Result<Vec<Operation>> {
    let document = client.json("", "GET", "/openapi.json", &Value::Null).await?.value();
    let paths = document["paths"].as_object().ok_or("the document has no paths")?;
    let of = |(path, item): (&String, &Value)| {
        let methods = METHODS.into_iter().filter_map(|method| Some((method, item.get(method)?)));
        methods.map(|(method, operation)| Operation::new(method, path, operation)).collect::<Vec<_>>()
    };
    Ok(paths.iter().flat_map(of).collect())
}
