//! Decides who sets the number of replicas: the manifest, an autoscaler, or a client that scaled by hand.
//!
//! The agent keeps a number that was set through the `scale` subresource, and names it in the status, until the
//! manifest's number changes. Then the manifest's number applies, unless an autoscaler targets the object.
//!
//! When a manifest no longer names `spec.replicas`, server-side apply resets the field to its default of one replica if
//! it has no other owner. If an autoscaler should take the field over, the number must stay until it does: see
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>.

use std::collections::BTreeSet;

use brokkr_core::model::ObjectRef;
use serde_json::{Value, json};

use crate::apply::decide::ExistingObject;
use crate::apply::write::skeleton;
use crate::cluster::{ApplyOptions, ClusterError, ClusterResult, ListOptions, meta};
use crate::context::PassContext;
use crate::desired::prepare::Prepared;
use crate::observed::live::{Live, REPLICAS};
use crate::outcome::stack_outcome::Yielded;
use crate::ownership::inventory::Entry;

/// The field manager that keeps the number until an autoscaler changes it.
const KEEPER: &str = "handover-to-autoscaler";

/// Returns the scaled number of replicas that the agent keeps instead of the manifest's.
pub(crate) fn yielded(prepared: &Prepared, live: &Live) -> Option<Yielded> {
    let (named, scaled) = (prepared.replicas?, live.scaled.as_ref()?);
    if live.fields.contains(REPLICAS) || prepared.ignored.covers(&["spec", "replicas"]) {
        return None;
    }
    let by = if scaled.by.is_empty() { String::new() } else { format!(" by {}", scaled.by) };
    let why = format!("keeps {} as scaled{by}; the manifest sets {named}", scaled.replicas);
    Some(Yielded { object: (*prepared.object).clone(), field: REPLICAS.to_owned(), why })
}

/// Whether the manifest's number changed since it was applied, so that it applies again.
pub(crate) fn has_new_number(prepared: &Prepared, entry: Option<&Entry>) -> bool {
    let was_applied = |entry: &&Entry| entry.manifest.is_some();
    entry.filter(was_applied).is_some_and(|entry| prepared.replicas.is_some() && prepared.replicas != entry.replicas)
}

impl PassContext<'_> {
    /// Whether an update sets the manifest's number of replicas although the object was scaled.
    pub(crate) async fn takes_replicas_back(&self, prepared: &Prepared, entry: Option<&Entry>) -> ClusterResult<bool> {
        Ok(has_new_number(prepared, entry) && !self.is_autoscaled(&prepared.object).await?)
    }

    /// Keeps the number of replicas of an object that an autoscaler targets and whose manifest no longer names it.
    pub(crate) async fn leave_replicas_to_autoscaler(
        &self,
        prepared: &Prepared,
        existing: &ExistingObject,
        entry: &Entry,
    ) -> ClusterResult<()> {
        if prepared.replicas.is_some() || existing.scaled || !entry.fields.contains(REPLICAS) {
            return Ok(());
        }
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let Some(live) = self.cluster.get(&at).await?.filter(|live| meta::uid(live) == Some(&existing.uid)) else {
            return Ok(());
        };
        let Some(replicas) = live.pointer("/spec/replicas").and_then(Value::as_i64) else {
            return Ok(());
        };
        if !self.is_autoscaled(&prepared.object).await? {
            return Ok(());
        }
        let mut body = skeleton(prepared, Some(&existing.uid));
        body["spec"] = json!({"replicas": replicas});
        let options = ApplyOptions { field_manager: KEEPER, force: false, dry_run: false };
        match self.writer.apply(&at, &body, &options).await {
            // Another manager owns the field with a different number, so the number stays.
            Ok(_) | Err(ClusterError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether an autoscaler targets an object: one in the desired state, or one in the cluster.
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
            // Without the right to list autoscalers, the manifest decides.
            Err(ClusterError::Forbidden(_) | ClusterError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Returns the targets of the autoscalers among these objects.
pub(crate) fn autoscaled(objects: &[Prepared]) -> BTreeSet<ObjectRef> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Cluster as _;
    use crate::ownership::field_hashes::FieldHashes;
    use crate::ownership::inventory::{Entry, EntryState, ManifestHash};
    use crate::samples::{Fixture, Sample, manifest};
    use brokkr_core::model::IgnoreRule;

    fn deployment(replicas: Option<i64>) -> Value {
        let mut deployment = manifest("apps/v1", "Deployment", "web");
        deployment["spec"] = json!({"template": {}});
        if let Some(replicas) = replicas {
            deployment["spec"]["replicas"] = json!(replicas);
        }
        deployment
    }

    /// The object after scaling. `owner` is the entry of `managedFields` with the number.
    fn scaled(sample: &Sample, replicas: i64, owner: Option<Value>) -> Value {
        let mut object = sample.applied(&deployment(Some(replicas)), json!({"f:spec": {"f:template": {}}}));
        if let (Some(owner), Some(entries)) = (owner, object["metadata"]["managedFields"].as_array_mut()) {
            entries.push(owner);
        }
        object
    }

    fn owner(manager: &str, subresource: Option<&str>) -> Value {
        let mut entry = json!({"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}});
        if let Some(subresource) = subresource {
            entry["subresource"] = json!(subresource);
        }
        entry
    }

    #[test]
    fn scaled_replicas_are_kept_and_reported() {
        let sample = Sample::new();
        let prepared = sample.prepared(&deployment(Some(2)));
        let named = |object: &Value| yielded(&prepared, &sample.live(&prepared, object)).map(|it| it.why);
        let by_scale = scaled(&sample, 5, Some(owner("kubectl", Some("scale"))));
        assert_eq!(named(&by_scale).as_deref(), Some("keeps 5 as scaled by kubectl; the manifest sets 2"));
        let to_zero = scaled(&sample, 0, None);
        assert_eq!(named(&to_zero).as_deref(), Some("keeps 0 as scaled; the manifest sets 2"));
        // An edit of the object itself is drift or a conflict.
        assert_eq!(named(&scaled(&sample, 5, Some(owner("kubectl-edit", None)))), None);
        assert_eq!(named(&scaled(&sample, 0, Some(owner("kubectl-edit", None)))), None);
        assert_eq!(named(&scaled(&sample, 1, None)), None, "the default without a number");
        // The agent keeps nothing if the manifest has no number, or if our manager owns the number too.
        let unnamed = sample.prepared(&deployment(None));
        assert_eq!(yielded(&unnamed, &sample.live(&unnamed, &by_scale)), None);
        let mut both = sample.applied(&deployment(Some(2)), json!({"f:spec": {"f:replicas": {}, "f:template": {}}}));
        both["metadata"]["managedFields"].as_array_mut().expect("entries").push(owner("kubectl", Some("scale")));
        assert_eq!(named(&both), None);
    }

    #[test]
    fn ignored_replicas_are_not_reported() {
        let mut sample = Sample::new();
        for (pointer, expected) in [("/spec/replicas", false), ("/spec", false), ("/spec/template", true)] {
            let rule = json!({"pointers": [pointer]});
            sample.ignore = vec![serde_json::from_value::<IgnoreRule>(rule).expect("a rule")];
            let prepared = sample.prepared(&deployment(Some(2)));
            let object = scaled(&sample, 5, Some(owner("kubectl", Some("scale"))));
            assert_eq!(yielded(&prepared, &sample.live(&prepared, &object)).is_some(), expected, "{pointer}");
        }
    }

    #[test]
    fn changed_number_in_the_manifest_applies_again() {
        let sample = Sample::new();
        let entry = |replicas, applied: bool| {
            let mut entry = Entry::new(EntryState::Held);
            entry.replicas = replicas;
            entry.manifest = applied.then(|| ManifestHash::of(&json!({})));
            entry
        };
        for (named, before, applied, expected) in [
            (Some(4), Some(2), true, true),
            (Some(2), Some(2), true, false),
            (Some(4), None, true, true),
            (None, Some(2), true, false),
            (Some(4), None, false, false),
            (Some(4), Some(2), false, false),
        ] {
            let prepared = sample.prepared(&deployment(named));
            let is_new = has_new_number(&prepared, Some(&entry(before, applied)));
            assert_eq!(is_new, expected, "{named:?} after {before:?}, applied: {applied}");
        }
        assert!(!has_new_number(&sample.prepared(&deployment(Some(4))), None));
    }

    /// Whether the keeper or the autoscaler owns the number afterwards.
    async fn is_left(fixture: &Fixture, named: Option<i64>, is_scaled: bool, was_ours: bool) -> bool {
        let live = fixture.apply(&fixture.sample.prepared(&deployment(Some(3))), &fixture.manager).await;
        let mut entry = Entry::new(EntryState::Held);
        if was_ours {
            entry.fields = FieldHashes::of(&meta::applied_fields(&live, &fixture.manager));
        }
        let existing = ExistingObject { uid: meta::uid(&live).expect("a UID").to_owned(), scaled: is_scaled };
        let prepared = fixture.sample.prepared(&deployment(named));
        let observer = fixture.observer();
        let left = fixture.context(&observer).leave_replicas_to_autoscaler(&prepared, &existing, &entry).await;
        assert_eq!(left, Ok(()));
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let live = fixture.cluster.get(&at).await.expect("a read").expect("the object");
        assert_eq!(live["spec"]["replicas"], json!(3));
        meta::applied_fields(&live, KEEPER).contains(REPLICAS)
    }

    #[tokio::test]
    async fn dropped_replicas_are_kept_only_for_an_autoscaler() {
        for (is_autoscaled, named, is_scaled, was_ours, expected) in [
            (true, None, false, true, true),
            (false, None, false, true, false),
            (true, Some(2), false, true, false),
            (true, None, true, true, false),
            (true, None, false, false, false),
        ] {
            let mut fixture = Fixture::new().await;
            if is_autoscaled {
                fixture.autoscaled.insert((*fixture.sample.prepared(&deployment(None)).object).clone());
            }
            let left = is_left(&fixture, named, is_scaled, was_ours).await;
            let case = format!("autoscaled {is_autoscaled}, named {named:?}, scaled {is_scaled}, ours {was_ours}");
            assert_eq!(left, expected, "{case}");
        }
    }

    #[test]
    fn autoscaler_target_is_parsed() {
        let autoscaler = |target: Value| json!({"spec": {"scaleTargetRef": target}});
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
        let found = scaled_by(&autoscaler(target), Some("shop")).expect("a target");
        assert_eq!(found.to_string(), "Deployment.apps shop/web");
        let core = json!({"apiVersion": "v1", "kind": "ReplicationController", "name": "web"});
        assert_eq!(scaled_by(&autoscaler(core), None).map(|it| it.group).as_deref(), Some(""));
        assert_eq!(scaled_by(&autoscaler(json!({"kind": "Deployment"})), None), None);
        assert_eq!(scaled_by(&json!({}), None), None);
    }

    #[tokio::test]
    async fn changed_replicas_apply_unless_autoscaled() {
        for (is_autoscaled, named, expected) in
            [(false, 4, true), (true, 4, false), (false, 2, false), (true, 2, false)]
        {
            let mut fixture = Fixture::new().await;
            let prepared = fixture.sample.prepared(&deployment(Some(named)));
            if is_autoscaled {
                fixture.autoscaled.insert((*prepared.object).clone());
            }
            let mut entry = Entry::new(EntryState::Held);
            (entry.replicas, entry.manifest) = (Some(2), Some(ManifestHash::of(&json!({}))));
            let observer = fixture.observer();
            let taken = fixture.context(&observer).takes_replicas_back(&prepared, Some(&entry)).await;
            assert_eq!(taken, Ok(expected), "autoscaled {is_autoscaled}, {named} after 2");
        }
    }
}
