//! Takes over the fields of an adopted object from the tools that created it.
//!
//! A field stays as long as any manager owns it. If `kubectl apply` or Helm kept their ownership, a key that a later
//! revision drops would stay in the cluster. So adoption ends their ownership, as kubectl does when it migrates to
//! server-side apply:
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/#migration-between-client-side-and-server-side-apply>.

use serde_json::{Map, Value, json};

use crate::apply::decide::ExistingObject;
use crate::cluster::{ClusterError, ClusterResult, Patch, meta};
use crate::context::PassContext;
use crate::desired::prepare::Prepared;

/// kubectl's field managers for deployments. Edits, annotations and labels that a person sets have other managers.
const KUBECTL: [&str; 7] = [
    "kubectl",
    "kubectl-client-side-apply",
    "kubectl-create",
    "kubectl-expose",
    "kubectl-replace",
    "kubectl-run",
    "before-first-apply",
];
/// Prefixes of the field managers of other deployment tools.
const TOOLS: [&str; 9] =
    ["helm", "Helm", "argocd", "kustomize-controller", "helm-controller", "kapp", "pulumi", "Terraform", "HashiCorp"];

/// Which fields of a tool the agent takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takeover {
    /// All fields. Those that the manifest does not name are removed.
    All,
    /// Only the fields that the agent applies. The tool keeps the others.
    Applied,
}

impl PassContext<'_> {
    /// Ends the ownership of deployment tools. Changes only `metadata.managedFields`.
    pub(crate) async fn take_fields_over(
        &self,
        prepared: &Prepared,
        existing: &ExistingObject,
        takeover: Takeover,
    ) -> ClusterResult<()> {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let live = self.cluster.get(&at).await?.filter(|live| meta::uid(live) == Some(&existing.uid));
        let Some(live) = live else {
            return Err(ClusterError::Precondition("another object has replaced it".to_owned()));
        };
        let entries: Vec<Map<String, Value>> = meta::managed_fields(&live).cloned().collect();
        let Some(entries) = taken_over(entries, self.manager, takeover) else { return Ok(()) };
        let patch = json!({"metadata": {
            "uid": existing.uid,
            "resourceVersion": meta::resource_version(&live),
            "managedFields": entries,
        }});
        self.writer_of(&prepared.object).patch(&at, &Patch::Merge(patch), self.manager).await.map(drop)
    }
}

fn text<'e>(entry: &'e Map<String, Value>, key: &str) -> &'e str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether an entry belongs to a deployment tool. Entries of subresources do not count.
fn is_tools(entry: &Map<String, Value>) -> bool {
    text(entry, "subresource").is_empty() && is_tool(text(entry, "manager"))
}

/// Whether a field manager is a deployment tool.
pub(crate) fn is_tool(manager: &str) -> bool {
    KUBECTL.contains(&manager) || TOOLS.iter().any(|tool| manager.starts_with(tool))
}

fn is_ours(entry: &Map<String, Value>, manager: &str) -> bool {
    text(entry, "manager") == manager && text(entry, "operation") == "Apply" && text(entry, "subresource").is_empty()
}

/// Returns the entries after the takeover; `None` if no tool owns a field.
fn taken_over(entries: Vec<Map<String, Value>>, manager: &str, takeover: Takeover) -> Option<Vec<Map<String, Value>>> {
    let (tools, mut others): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_tools);
    if tools.is_empty() {
        return None;
    }
    match takeover {
        Takeover::All => {
            let ours = others.iter().position(|entry| is_ours(entry, manager));
            let mut tools = tools.into_iter();
            let at = match ours {
                Some(at) => at,
                None => {
                    let mut first = tools.next()?;
                    first.insert("manager".to_owned(), json!(manager));
                    first.insert("operation".to_owned(), json!("Apply"));
                    others.push(first);
                    others.len() - 1
                }
            };
            for tool in tools {
                let Some(ours) = others.get_mut(at) else { break };
                // A path has the same meaning only in the same version of the kind.
                if text(ours, "apiVersion") == text(&tool, "apiVersion") {
                    let more = tool.get("fieldsV1").cloned().unwrap_or_default();
                    union(ours.entry("fieldsV1").or_insert_with(|| json!({})), more);
                } else {
                    others.push(tool);
                }
            }
        }
        Takeover::Applied => {
            let ours = others.iter().find(|entry| is_ours(entry, manager)).and_then(|it| it.get("fieldsV1")).cloned();
            for mut tool in tools {
                if let (Some(theirs), Some(ours)) = (tool.get_mut("fieldsV1"), &ours) {
                    subtract(theirs, ours);
                }
                if tool.get("fieldsV1").and_then(Value::as_object).is_some_and(|it| !it.is_empty()) {
                    others.push(tool);
                }
            }
        }
    }
    Some(others)
}

/// Merges one tree of fields into another. JSON parsing bounds their depth.
fn union(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        for (key, child) in more {
            union(into.entry(key).or_insert_with(|| json!({})), child);
        }
    }
}

/// Removes the fields of one tree from another.
fn subtract(from: &mut Value, less: &Value) {
    if let (Value::Object(from), Value::Object(less)) = (from, less) {
        from.retain(|key, child| {
            let Some(less) = less.get(key) else { return true };
            subtract(child, less);
            child.as_object().is_some_and(|it| !it.is_empty())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> Map<String, Value> {
        let entry = json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
        entry.as_object().cloned().unwrap_or_default()
    }

    fn key(name: &str) -> Value {
        json!({"f:data": {format!("f:{name}"): {}}})
    }

    #[test]
    fn adoption_takes_over_tool_fields() {
        let both = json!({"f:data": {"f:a": {}, "f:b": {}}});
        let before = || {
            vec![
                entry("someone", "Update", key("x")),
                entry("kubectl-client-side-apply", "Update", key("a")),
                entry("helm", "Update", key("b")),
            ]
        };
        let after = taken_over(before(), "brokkr-1", Takeover::All).unwrap_or_default();
        assert_eq!(after, [entry("someone", "Update", key("x")), entry("brokkr-1", "Apply", both.clone())]);
        // The agent's own entry exists already.
        let mut with_ours = before();
        with_ours.push(entry("brokkr-1", "Apply", key("a")));
        let after = taken_over(with_ours, "brokkr-1", Takeover::All).unwrap_or_default();
        assert_eq!(after, [entry("someone", "Update", key("x")), entry("brokkr-1", "Apply", both)]);
        assert_eq!(taken_over(vec![entry("someone", "Update", key("x"))], "brokkr-1", Takeover::All), None);
    }

    #[test]
    fn entries_of_other_version_or_subresource_stay() {
        let mut scale = entry("kubectl", "Update", json!({"f:spec": {"f:replicas": {}}}));
        scale.insert("subresource".to_owned(), json!("scale"));
        let mut older = entry("kubectl-replace", "Update", key("b"));
        older.insert("apiVersion".to_owned(), json!("v1beta1"));
        let before = vec![scale.clone(), entry("kubectl", "Update", key("a")), older.clone()];
        let after = taken_over(before, "brokkr-1", Takeover::All).unwrap_or_default();
        assert_eq!(after, [scale, entry("brokkr-1", "Apply", key("a")), older]);
    }

    #[test]
    fn interactive_managers_are_not_tools() {
        for (manager, expected) in [
            ("kubectl", true),
            ("kubectl-client-side-apply", true),
            ("kubectl-edit", false),
            ("kubectl-annotate", false),
            ("helm", true),
            ("argocd-controller", true),
            ("brokkr-1", false),
        ] {
            assert_eq!(is_tool(manager), expected, "{manager}");
        }
    }

    #[test]
    fn adoption_if_equal_leaves_other_fields_to_the_tool() {
        let both = json!({"f:data": {"f:a": {}, "f:b": {}}, "f:metadata": {"f:labels": {"f:a": {}}}});
        let ours = entry("brokkr-1", "Apply", json!({"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:a": {}}}}));
        let before = vec![ours.clone(), entry("kubectl-create", "Update", both), entry("helm", "Update", key("a"))];
        let after = taken_over(before, "brokkr-1", Takeover::Applied).unwrap_or_default();
        assert_eq!(after, [ours, entry("kubectl-create", "Update", key("b"))]);
    }
}
