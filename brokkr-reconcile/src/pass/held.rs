//! Stacks that stay as they are: the agent reports what others changed, and writes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use brokkr_core::model::{Health, ObjectRef};

use crate::cluster::ApiKind;
use crate::context::PassContext;
use crate::observed::job_ends::is_job;
use crate::observed::live::{Live, REPLICAS};
use crate::outcome::stack_outcome::{Progress, StackOutcome};
use crate::ownership::inventory::{Entry, EntryState, Inventory};

impl PassContext<'_> {
    /// Returns the outcome of a stack that stays as it is: the objects that others changed or deleted.
    pub(crate) async fn observe_held(&self, inventory: &Inventory) -> StackOutcome {
        StackOutcome {
            stack_id: inventory.stack,
            revision: None,
            removal: false,
            applied: false,
            interrupted: false,
            progress: Progress::Done,
            health: Health::Unknown,
            unhealthy: Vec::new(),
            retained: Vec::new(),
            yielded: Vec::new(),
            corrected: Vec::new(),
            drifted: self.drift_of(inventory).await,
            contested: Vec::new(),
            writes: 0,
            retry_after: None,
        }
    }

    /// Objects that cannot be read are left out: nothing is known of them.
    async fn drift_of(&self, inventory: &Inventory) -> Vec<ObjectRef> {
        // Whether a Job that is gone had finished is known only to a pass that applies it.
        let entries = inventory.entries.iter();
        let held = entries.filter(|(object, entry)| entry.state == EntryState::Held && !is_job(object));
        let mut by_kind: HashMap<&ApiKind, Vec<&Arc<ObjectRef>>> = HashMap::new();
        for (object, _) in held {
            if let Some(kind) = self.discovery.preferred(&object.group, &object.kind) {
                by_kind.entry(kind).or_default().push(object);
            }
        }
        let mut drifted = Vec::new();
        for (kind, objects) in by_kind {
            let Ok(found) = self.observer.observe_kind(kind, &objects).await else { continue };
            let found: HashMap<Arc<ObjectRef>, Arc<Live>> = found.into_iter().collect();
            let has_drifted = |object: &&Arc<ObjectRef>| {
                let entry = inventory.entries.get(*object);
                entry.is_some_and(|entry| is_changed(entry, found.get(*object).map(|live| &**live)))
            };
            drifted.extend(objects.into_iter().filter(has_drifted).map(|object| (**object).clone()));
        }
        drifted.sort();
        drifted
    }
}

/// Whether others deleted or replaced the object, or took over a field that the agent applied.
fn is_changed(entry: &Entry, live: Option<&Live>) -> bool {
    let Some(live) = live else {
        return true;
    };
    // Autoscaling is no drift.
    let applied = if live.scaled.is_some() { entry.fields.without(REPLICAS) } else { entry.fields.clone() };
    entry.uid.as_ref() != Some(&live.uid) || !live.fields.covers(&applied)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::meta;
    use crate::ownership::field_hashes::FieldHashes;

    fn deployment(uid: &str, managers: Value) -> Live {
        let kind = ApiKind {
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: "Deployment".to_owned(),
            plural: "deployments".to_owned(),
            namespaced: true,
            listable: true,
        };
        let object = json!({"metadata": {"name": "web", "uid": uid, "resourceVersion": "1", "managedFields": managers},
            "spec": {"replicas": 3, "paused": true}});
        Live::of(&kind, &object, "brokkr-me", None).expect("an object")
    }

    fn manager(name: &str, subresource: &str, spec: Value) -> Value {
        json!({"manager": name, "operation": "Apply", "subresource": subresource, "fieldsV1": {"f:spec": spec}})
    }

    #[test]
    fn lost_fields_and_other_objects_are_changes() {
        let both = json!({"f:replicas": {}, "f:paused": {}});
        let mine = json!([manager("brokkr-me", "", both.clone())]);
        let object = json!({"metadata": {"managedFields": mine}});
        let fields = FieldHashes::of(&meta::applied_fields(&object, "brokkr-me"));
        let entry = Entry { uid: Some("u".to_owned()), fields, ..Entry::new(EntryState::Held) };
        let paused = manager("brokkr-me", "", json!({"f:paused": {}}));
        let by = |subresource| json!([paused, manager("other", subresource, json!({"f:replicas": {}}))]);
        for (what, live, expected) in [
            ("unchanged", Some(deployment("u", mine.clone())), false),
            ("deleted", None, true),
            ("replaced", Some(deployment("v", mine)), true),
            ("a field is lost", Some(deployment("u", by(""))), true),
            ("scaled", Some(deployment("u", by("scale"))), false),
            (
                "more fields are ours",
                Some(deployment(
                    "u",
                    json!([manager("brokkr-me", "", json!({"f:replicas": {}, "f:paused": {}, "f:more": {}}))]),
                )),
                false,
            ),
        ] {
            assert_eq!(is_changed(&entry, live.as_ref()), expected, "{what}");
        }
    }
}
