//! Who sets the number of replicas: the manifest, an autoscaler, or somebody who scaled by hand.
//!
//! A number that was set through the `scale` subresource is left alone and named in the status, until the manifest's own number
//! changes: then that counts, unless an autoscaler targets the object.
//!
//! When a manifest no longer names `spec.replicas`, server-side apply gives the field back to its default, one replica, if
//! nobody else owns it. Where an autoscaler is meant to take it over, the number must stay until it does: see
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::apply::Work;
use super::inventory::Entry;
use super::live::{Live, REPLICAS};
use super::outcome::Yielded;
use super::prepare::Prepared;
use super::step::Target;
use super::write::skeleton;
use crate::cluster::{ApplyOptions, ClusterError, ClusterResult, ListOptions, meta};
use crate::model::ObjectRef;

/// The field manager that keeps the number until an autoscaler changes it.
const KEEPER: &str = "handover-to-autoscaler";

/// The number that is left to who scaled an object, where its manifest names another owner's.
pub(super) fn yielded(prepared: &Prepared, live: &Live) -> Option<Yielded> {
    let (named, scaled) = (prepared.replicas?, live.scaled.as_ref()?);
    if live.fields.contains(REPLICAS) {
        return None;
    }
    let by = if scaled.by.is_empty() { String::new() } else { format!(" by {}", scaled.by) };
    let why = format!("stays {} as scaled{by}; the manifest names {named}", scaled.replicas);
    Some(Yielded { object: (*prepared.object).clone(), field: REPLICAS.to_owned(), why })
}

/// Whether a manifest's number has changed since it was applied, so that it counts again.
pub(super) fn has_new_number(prepared: &Prepared, entry: Option<&Entry>) -> bool {
    let was_applied = |entry: &&Entry| entry.manifest.is_some();
    entry.filter(was_applied).is_some_and(|entry| prepared.replicas.is_some() && prepared.replicas != entry.replicas)
}

impl Work<'_> {
    /// Whether an update sends the manifest's number of replicas although somebody scaled the object.
    pub(super) async fn takes_replicas_back(&self, prepared: &Prepared, entry: Option<&Entry>) -> ClusterResult<bool> {
        Ok(has_new_number(prepared, entry) && !self.is_autoscaled(&prepared.object).await?)
    }

    /// Keeps the number of replicas of an object whose manifest no longer names it and that an autoscaler targets.
    pub(super) async fn leave_replicas_to_autoscaler(
        &self,
        prepared: &Prepared,
        target: &Target,
        entry: &Entry,
    ) -> ClusterResult<()> {
        if prepared.replicas.is_some() || target.scaled || !entry.fields.contains(REPLICAS) {
            return Ok(());
        }
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let Some(live) = self.cluster.get(&at).await?.filter(|live| meta::uid(live) == Some(&target.uid)) else {
            return Ok(());
        };
        let Some(replicas) = live.pointer("/spec/replicas").and_then(Value::as_i64) else {
            return Ok(());
        };
        if !self.is_autoscaled(&prepared.object).await? {
            return Ok(());
        }
        let mut body = skeleton(prepared, Some(&target.uid));
        body["spec"] = json!({"replicas": replicas});
        let options = ApplyOptions { manager: KEEPER, force: false, dry_run: false };
        match self.cluster.apply(&at, &body, &options).await {
            // Somebody else owns it with another number by now, and so keeps it.
            Ok(_) | Err(ClusterError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether an autoscaler targets an object: one that is wanted, or one in the cluster.
    async fn is_autoscaled(&self, object: &ObjectRef) -> ClusterResult<bool> {
        if self.autoscaled.contains(object) {
            return Ok(true);
        }
        let Some(kind) = self.discovery.preferred("autoscaling", "HorizontalPodAutoscaler") else {
            return Ok(false);
        };
        match self.cluster.list(kind, object.namespace.as_deref(), &ListOptions::default()).await {
            Ok(list) => Ok(list
                .items
                .iter()
                .filter_map(|it| scaled_by(it, object.namespace.as_deref()))
                .any(|it| it == *object)),
            // Without the right to look it is a manifest like any other.
            Err(ClusterError::Forbidden(_) | ClusterError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What the autoscalers among these objects target.
pub(super) fn autoscaled(objects: &[Prepared]) -> BTreeSet<ObjectRef> {
    let autoscalers =
        objects.iter().filter(|it| it.object.group == "autoscaling" && it.object.kind == "HorizontalPodAutoscaler");
    autoscalers.filter_map(|it| scaled_by(&it.body(), it.object.namespace.as_deref())).collect()
}

fn scaled_by(autoscaler: &Value, namespace: Option<&str>) -> Option<ObjectRef> {
    let target = autoscaler.pointer("/spec/scaleTargetRef")?;
    let text = |field: &str| target.get(field).and_then(Value::as_str);
    let group = text("apiVersion").and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
    Some(ObjectRef {
        group: group.to_owned(),
        kind: text("kind")?.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: text("name")?.to_owned(),
    })
}
