//! The relevant facts about an object in the cluster: metadata and ownership.

use brokkr_core::model::{AgentId, StackId};
use serde_json::{Map, Value};

use crate::cluster::{ApiKind, FieldSet, meta};
use crate::desired::ignore::Ignored;
use crate::health;
use crate::health::{JobEnd, ObjectHealth};
use crate::ownership::field_hashes::FieldHashes;
use crate::ownership::labels::{AGENT_LABEL, KEEP_ANNOTATION, MANAGER_PREFIX, STACK_LABEL};

/// An object in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) deleting: bool,
    pub(crate) finalizers: Vec<String>,
    /// The agent in its label, regardless of who set it.
    agent: Option<AgentId>,
    /// The stack in its label, regardless of who set it.
    stack: Option<StackId>,
    /// Whether our field manager owns any field.
    pub(crate) ours_in_fields: bool,
    /// Whether the field manager of another Brokkr agent owns any field.
    pub(crate) others_in_fields: bool,
    /// The fields that our manager applied and still owns.
    pub(crate) fields: FieldHashes,
    pub(crate) keep: bool,
    /// The number of replicas that was set through the `scale` subresource, if any.
    pub(crate) scaled: Option<Scaled>,
    /// The result, if the object is a finished Job.
    pub(crate) ended: Option<JobEnd>,
    /// The field manager and the time of its creation, of an object in which no Brokkr agent owns a field.
    origin: Option<(String, String)>,
    /// Its health; healthy for kinds without a status.
    pub(crate) health: ObjectHealth,
}

impl Live {
    /// Parses an object. Returns `None` for a value that is not an object of an API server.
    pub(crate) fn of(kind: &ApiKind, object: &Value, manager: &str, ignored: Option<&Ignored>) -> Option<Self> {
        let is_other = |name: &str| name.starts_with(MANAGER_PREFIX) && name != manager;
        let is_agents = meta::managers(object).any(|name| name.starts_with(MANAGER_PREFIX));
        let (group, kind) = (kind.group.as_str(), kind.kind.as_str());
        Some(Self {
            uid: meta::uid(object)?.to_owned(),
            resource_version: meta::resource_version(object)?.to_owned(),
            deleting: meta::is_deleting(object),
            finalizers: meta::finalizers(object).map(str::to_owned).collect(),
            agent: meta::label(object, AGENT_LABEL).and_then(|id| id.parse().ok()),
            stack: meta::label(object, STACK_LABEL).and_then(|id| id.parse().ok()),
            ours_in_fields: meta::managers(object).any(|name| name == manager),
            others_in_fields: meta::managers(object).any(is_other),
            fields: FieldHashes::of(&match ignored {
                Some(ignored) => ignored.applied_fields(object, manager),
                None => meta::applied_fields(object, manager),
            }),
            keep: meta::annotation(object, KEEP_ANNOTATION) == Some("true"),
            scaled: scaled(object),
            ended: if (group, kind) == ("batch", "Job") { health::job_end(object) } else { None },
            origin: if is_agents { None } else { origin(object) },
            health: health::of(group, kind, object),
        })
    }

    /// Returns who created the object and when, in brackets; empty if unknown.
    pub(crate) fn origin(&self) -> String {
        match &self.origin {
            Some((manager, time)) => format!(" (field manager \"{manager}\", created {time})"),
            None => String::new(),
        }
    }

    /// Returns the stack for which this agent created the object, based on labels and field ownership. Labels alone prove
    /// nothing: they can be copied, and controllers inherit them to their dependents.
    pub(crate) fn made_for(&self, agent: AgentId) -> Option<StackId> {
        self.stack.filter(|_| self.agent == Some(agent) && self.ours_in_fields)
    }
}

/// Returns the field manager of the oldest entry, and the creation time.
fn origin(object: &Value) -> Option<(String, String)> {
    let text = |entry: &Map<String, Value>, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let oldest = meta::managed_fields(object).min_by_key(|entry| text(entry, "time"))?;
    let created = object.pointer("/metadata/creationTimestamp").and_then(Value::as_str)?;
    Some((text(oldest, "manager")?, created.to_owned()))
}

/// The field that autoscalers own through the `scale` subresource.
pub(crate) const REPLICAS: &str = ".spec.replicas";

/// A number of replicas that was set through the `scale` subresource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// Number of replicas.
    pub(crate) replicas: i64,
    /// The field manager that set it; empty if the server does not record one.
    pub(crate) by: String,
}

/// Reads from `managedFields` whether the `scale` subresource set the number of replicas.
fn scaled(object: &Value) -> Option<Scaled> {
    let replicas = object.pointer("/spec/replicas").and_then(Value::as_i64)?;
    let text =
        |entry: &Map<String, Value>, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let owns = |entry: &&Map<String, Value>| {
        FieldSet::from_fields_v1(entry.get("fieldsV1").unwrap_or(&Value::Null)).contains(REPLICAS)
    };
    let mut owners = meta::managed_fields(object).filter(owns).peekable();
    if owners.peek().is_none() {
        // Scaling to zero records no owner, because JSON encoding omits the zero. All other ways to set a zero record
        // one.
        return (replicas == 0).then(|| Scaled { replicas, by: String::new() });
    }
    let scaler = owners.find(|entry| text(entry, "subresource") == "scale")?;
    Some(Scaled { replicas, by: text(scaler, "manager") })
}
