//! Checks whether a namespace or a custom resource definition contains objects of others.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use brokkr_core::model::ObjectRef;
use futures::FutureExt as _;
use serde_json::Value;

use crate::cluster::{ApiKind, ClusterError, ClusterResult, ListOptions, meta};
use crate::context::PassContext;
use crate::context::settling::Settling;
use crate::observed::observer::{CONCURRENCY, concurrently};
use crate::order::{is_built_in, is_namespace};

/// Maximum number of objects in a message.
const NAMED: usize = 3;

/// Whether a namespace or a definition may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Emptiness {
    /// Its deletion would delete no objects of others.
    Empty,
    /// It contains objects of others, or may contain some that cannot be read. The text lists them.
    HasOthers(String),
    /// Its objects are being deleted, or discovery has changed since it was read. Decide later.
    Pending(String),
}

impl Emptiness {
    /// Converts `Pending` to `HasOthers` after the maximum time.
    fn bounded(self, settling: &Settling, object: &ObjectRef, now: Instant) -> Self {
        let is_overdue = settling.is_overdue(object, matches!(self, Self::Pending(_)), now);
        match self {
            Self::Pending(text) if is_overdue => Self::HasOthers(text),
            emptiness => emptiness,
        }
    }
}

impl PassContext<'_> {
    /// Whether the deletion of this namespace or definition would delete no objects of others. Objects that cannot be
    /// read count as present. Returns an error only if the next attempt may succeed.
    pub(crate) async fn emptiness(
        &self,
        object: &ObjectRef,
        deleted_uids: &BTreeSet<String>,
    ) -> ClusterResult<Emptiness> {
        let emptiness = if is_namespace(object) {
            self.namespace_emptiness(&object.name, deleted_uids).await?
        } else {
            self.crd_emptiness(object).await?
        };
        Ok(emptiness.bounded(&self.books.settling, object, Instant::now()))
    }

    async fn namespace_emptiness(&self, namespace: &str, deleted_uids: &BTreeSet<String>) -> ClusterResult<Emptiness> {
        if let Some(failed) = self.discovery.failed.first() {
            return Ok(Emptiness::HasOthers(format!(
                "the API group {failed} does not respond, so its objects cannot be listed"
            )));
        }
        if let Some(hidden) = self.hidden_definition().await? {
            return Ok(hidden);
        }
        let kinds = one_version_each(self.discovery.kinds.iter().filter(|it| it.namespaced));
        let kinds = kinds.into_iter().filter(|kind| !is_transient(kind));
        let options = ListOptions { metadata_only: true, ..ListOptions::default() };
        let options = &options;
        let lists =
            kinds.map(|kind| async move { (kind, self.cluster.list(kind, Some(namespace), options).await) }.boxed());
        let mut there = Vec::new();
        for (kind, list) in concurrently(lists, CONCURRENCY).await {
            match list {
                Ok(list) if list.meta.truncated => {
                    return Ok(Emptiness::HasOthers(format!("it has too many {} to list", kind.plural)));
                }
                Ok(list) => there.extend(list.items.into_iter().map(|object| (kind, object))),
                Err(ClusterError::NotFound(_)) => {
                    return Ok(Emptiness::Pending(format!(
                        "the cluster has just stopped serving the kind {}",
                        kind.kind
                    )));
                }
                Err(ClusterError::Forbidden(_)) => {
                    return Ok(Emptiness::HasOthers(format!("the agent lacks the right to list its {}", kind.plural)));
                }
                Err(error) => return Err(error),
            }
        }
        let owners: HashMap<&str, Vec<&str>> =
            there.iter().filter_map(|(_, it)| Some((meta::uid(it)?, meta::owners(it).collect()))).collect();
        let mut strangers = there
            .iter()
            .filter(|(kind, object)| {
                !is_namespace_default(kind, object) && !descends(kind, object, &owners, deleted_uids)
            })
            .collect::<Vec<_>>();
        if strangers.is_empty() {
            return Ok(Emptiness::Empty);
        }
        let all_go = strangers.iter().all(|(_, object)| meta::is_deleting(object));
        strangers.sort_by_key(|(kind, object)| (&kind.kind, meta::name(object).unwrap_or_default().to_owned()));
        let named: Vec<String> = strangers
            .iter()
            .take(NAMED)
            .map(|(kind, object)| format!("{} {}", kind.kind, meta::name(object).unwrap_or_default()))
            .collect();
        let more = strangers.len().saturating_sub(NAMED);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!("{}{tail}", named.join(", "));
        Ok(if all_go {
            Emptiness::Pending(format!("it contains {text} (being deleted)"))
        } else {
            Emptiness::HasOthers(format!("it contains {text} (not in this stack)"))
        })
    }

    /// Returns the kind and the metadata of all custom resource definitions; `None` if the agent lacks the right to list
    /// them.
    async fn definitions(&self) -> ClusterResult<Option<(&ApiKind, Vec<Value>)>> {
        let Some(kind) = self.discovery.preferred("apiextensions.k8s.io", "CustomResourceDefinition") else {
            return Ok(None);
        };
        let options = ListOptions { metadata_only: true, ..ListOptions::default() };
        match self.cluster.list(kind, None, &options).await {
            Ok(list) => Ok(Some((kind, list.items))),
            Err(ClusterError::Forbidden(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the emptiness if discovery does not list the kind of an established definition, as an API server does for a
    /// while after its start. `None` if there is no such definition, or if the agent lacks the right to list them.
    async fn hidden_definition(&self) -> ClusterResult<Option<Emptiness>> {
        let Some((definitions, there)) = self.definitions().await? else { return Ok(None) };
        let served: BTreeSet<String> =
            self.discovery.kinds.iter().map(|kind| format!("{}.{}", kind.plural, kind.group)).collect();
        for name in there.iter().filter_map(meta::name).filter(|name| !served.contains(*name)) {
            let Some(definition) = self.cluster.get(&definitions.at(None, name)).await? else { continue };
            if !is_established(&definition) {
                continue;
            }
            // A definition that is being deleted, or that the server will serve soon, settles by itself.
            return Ok(Some(if meta::is_deleting(&definition) || has_served_version(&definition) {
                Emptiness::Pending(format!(
                    "the cluster has not updated the served kinds for the CustomResourceDefinition {name}"
                ))
            } else {
                Emptiness::HasOthers(format!(
                    "the cluster does not serve the CustomResourceDefinition {name}, so its objects cannot be listed"
                ))
            }));
        }
        Ok(None)
    }

    /// Whether a kind that is not served still has a definition. False if the agent lacks the right to list definitions.
    pub(crate) async fn is_still_defined(&self, group: &str, kind: &str) -> ClusterResult<bool> {
        if is_built_in(group) {
            return Ok(false);
        }
        let Some((definitions, there)) = self.definitions().await? else { return Ok(false) };
        // A definition's name is `<plural>.<group>`.
        let of_group = |name: &&str| name.split_once('.').is_some_and(|(_, its)| its == group);
        for name in there.iter().filter_map(meta::name).filter(of_group) {
            let definition = self.cluster.get(&definitions.at(None, name)).await?;
            let defined = definition.as_ref().and_then(|it| it.pointer("/spec/names/kind")).and_then(Value::as_str);
            if defined == Some(kind) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn crd_emptiness(&self, crd: &ObjectRef) -> ClusterResult<Emptiness> {
        let mut kinds = self.discovery.kinds.iter();
        let Some(kind) = kinds.find(|kind| crd.name == format!("{}.{}", kind.plural, kind.group)) else {
            return self.unserved_crd_emptiness(crd).await;
        };
        let options = ListOptions { metadata_only: true, limit: Some(1), ..ListOptions::default() };
        match self.cluster.list(kind, None, &options).await {
            Ok(list) if list.items.is_empty() => Ok(Emptiness::Empty),
            Ok(list) if list.items.iter().all(meta::is_deleting) => {
                Ok(Emptiness::Pending(format!("its last {} are being deleted", kind.plural)))
            }
            Ok(_) => Ok(Emptiness::HasOthers(format!("it has {} that are not in this stack", kind.plural))),
            Err(ClusterError::NotFound(_)) => {
                Ok(Emptiness::Pending("the cluster has just stopped serving its kind".to_owned()))
            }
            Err(ClusterError::Forbidden(_)) => {
                Ok(Emptiness::HasOthers(format!("the agent lacks the right to list {}", kind.plural)))
            }
            Err(error) => Err(error),
        }
    }

    /// Emptiness of a definition whose kind is not served and so cannot be listed. No object was ever stored under a
    /// definition that was never established: that condition never returns to false.
    async fn unserved_crd_emptiness(&self, crd: &ObjectRef) -> ClusterResult<Emptiness> {
        let Some(kind) = self.discovery.preferred(&crd.group, &crd.kind) else {
            return Ok(Emptiness::HasOthers("the agent cannot read CustomResourceDefinitions".to_owned()));
        };
        let Some(definition) = self.cluster.get(&kind.at(None, &crd.name)).await? else {
            return Ok(Emptiness::Empty);
        };
        Ok(if !is_established(&definition) {
            Emptiness::Empty
        } else if has_served_version(&definition) {
            Emptiness::Pending("it is established, but the cluster does not serve it yet".to_owned())
        } else {
            Emptiness::HasOthers("it serves no version, so its objects cannot be listed".to_owned())
        })
    }
}

fn is_established(definition: &Value) -> bool {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| it["type"] == "Established" && it["status"] == "True")
}

fn has_served_version(definition: &Value) -> bool {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    versions.into_iter().flatten().any(|it| it["served"] == true)
}

/// Returns the listable kinds, each in one version: all versions of a kind show the same objects.
pub(crate) fn one_version_each<'a>(kinds: impl Iterator<Item = &'a ApiKind>) -> Vec<&'a ApiKind> {
    let mut kinds: Vec<&ApiKind> = kinds.filter(|it| it.listable).collect();
    kinds.sort_by(|a, b| (&a.group, &a.kind).cmp(&(&b.group, &b.kind)));
    kinds.dedup_by(|a, b| a.group == b.group && a.kind == b.kind);
    kinds
}

/// Whether the control plane creates and deletes objects of the kind by itself. They do not keep a namespace occupied.
fn is_transient(kind: &ApiKind) -> bool {
    matches!(
        (kind.group.as_str(), kind.kind.as_str()),
        ("" | "events.k8s.io", "Event")
            | ("coordination.k8s.io", "Lease")
            | ("", "Endpoints")
            | ("discovery.k8s.io", "EndpointSlice")
    )
}

/// Whether Kubernetes creates the object in every namespace.
fn is_namespace_default(kind: &ApiKind, object: &Value) -> bool {
    kind.group.is_empty()
        && matches!(
            (kind.kind.as_str(), meta::name(object)),
            ("ServiceAccount", Some("default")) | ("ConfigMap", Some("kube-root-ca.crt"))
        )
}

/// Whether an object descends from our deleted objects by owner references. Volume claims never do: their data outlives
/// the workload that created them.
fn descends(
    kind: &ApiKind,
    object: &Value,
    owners: &HashMap<&str, Vec<&str>>,
    deleted_uids: &BTreeSet<String>,
) -> bool {
    if kind.group.is_empty() && kind.kind == "PersistentVolumeClaim" {
        return false;
    }
    let mut open: Vec<&str> = meta::owners(object).collect();
    let mut seen = BTreeSet::new();
    while let Some(owner) = open.pop() {
        if deleted_uids.contains(owner) {
            return true;
        }
        if seen.insert(owner) {
            open.extend(owners.get(owner).into_iter().flatten());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::Cluster as _;
    use crate::samples::Fixture;

    #[test]
    fn definition_status_is_parsed() {
        let definition = |established: &str, served: bool| {
            json!({
                "spec": {"versions": [{"served": false}, {"served": served}]},
                "status": {"conditions": [
                    {"type": "NamesAccepted", "status": "True"},
                    {"type": "Established", "status": established},
                ]},
            })
        };
        assert!(is_established(&definition("True", true)) && has_served_version(&definition("True", true)));
        assert!(!is_established(&definition("False", true)) && !has_served_version(&definition("True", false)));
        assert!(!is_established(&json!({})) && !has_served_version(&json!({})));
    }

    #[test]
    fn dependents_of_deleted_objects_are_ours() {
        let pods = ApiKind::v1("", "Pod", "pods", true);
        let claims = ApiKind::v1("", "PersistentVolumeClaim", "persistentvolumeclaims", true);
        let owned = |owner: &str| json!({"metadata": {"ownerReferences": [{"uid": owner}]}});
        let deleted_uids = BTreeSet::from(["deployment".to_owned()]);
        let owners = HashMap::from([("set", vec!["deployment"]), ("circle", vec!["circle"]), ("foreign", vec![])]);
        assert!(descends(&pods, &owned("deployment"), &owners, &deleted_uids));
        assert!(descends(&pods, &owned("set"), &owners, &deleted_uids));
        assert!(!descends(&claims, &owned("set"), &owners, &deleted_uids), "their data outlives their workload");
        assert!(!descends(&pods, &owned("circle"), &owners, &deleted_uids));
        assert!(!descends(&pods, &owned("foreign"), &owners, &deleted_uids));
        assert!(!descends(&pods, &json!({"metadata": {}}), &owners, &deleted_uids));
    }

    #[test]
    fn settling_counts_as_occupied_after_the_limit() {
        let object =
            ObjectRef { group: String::new(), kind: "Namespace".to_owned(), namespace: None, name: "a".to_owned() };
        let (settling, now) = (Settling::default(), Instant::now());
        let goes = || Emptiness::Pending("Pod p".to_owned());
        let stays = || Emptiness::HasOthers("Pod p".to_owned());
        let later = now + std::time::Duration::from_secs(600);
        for (emptiness, at, expected) in [
            (goes(), now, goes()),
            (goes(), later - std::time::Duration::from_millis(1), stays()),
            (Emptiness::Empty, later, Emptiness::Empty),
            (goes(), later, goes()),
            (stays(), later, stays()),
        ] {
            assert_eq!(emptiness.bounded(&settling, &object, at), expected);
        }
    }

    fn in_place(kind: &str, name: &str) -> Value {
        let (version, kind) = kind.split_once(' ').expect("apiVersion and kind");
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "place"}})
    }

    /// The emptiness of the Namespace `place` with these objects of others.
    async fn verdict(theirs: &[Value], change: impl FnOnce(&mut Fixture)) -> ClusterResult<Emptiness> {
        let mut fixture = Fixture::new().await;
        fixture.others_apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "place"}})).await;
        for body in theirs {
            fixture.others_apply(body).await;
        }
        change(&mut fixture);
        let observer = fixture.observer();
        fixture.context(&observer).namespace_emptiness("place", &BTreeSet::new()).await
    }

    #[tokio::test]
    async fn namespace_is_empty_without_objects_of_others() {
        let map = |name: &str| in_place("v1 ConfigMap", name);
        let occupied = |what: &str| Emptiness::HasOthers(what.to_owned());
        for (theirs, expected) in [
            (vec![], Emptiness::Empty),
            (vec![in_place("v1 ServiceAccount", "default"), map("kube-root-ca.crt")], Emptiness::Empty),
            (vec![in_place("v1 Event", "e"), in_place("v1 Endpoints", "e")], Emptiness::Empty),
            (vec![in_place("coordination.k8s.io/v1 Lease", "l")], Emptiness::Empty),
            (vec![in_place("discovery.k8s.io/v1 EndpointSlice", "s")], Emptiness::Empty),
            (
                vec![in_place("v1 ServiceAccount", "other")],
                occupied("it contains ServiceAccount other (not in this stack)"),
            ),
            (vec![map("default")], occupied("it contains ConfigMap default (not in this stack)")),
            (
                ["a", "b", "c", "d", "e"].map(map).to_vec(),
                occupied("it contains ConfigMap a, ConfigMap b, ConfigMap c and 2 more (not in this stack)"),
            ),
            (
                ["a", "b", "c"].map(map).to_vec(),
                occupied("it contains ConfigMap a, ConfigMap b, ConfigMap c (not in this stack)"),
            ),
        ] {
            assert_eq!(verdict(&theirs, |_| {}).await, Ok(expected), "{theirs:?}");
        }
    }

    #[tokio::test]
    async fn namespace_that_cannot_be_seen_is_not_vacant() {
        let failing = |error: ClusterError| {
            move |fixture: &mut Fixture| {
                let fault = move |request: &crate::cluster::Request<'_>| {
                    (request.verb == crate::cluster::Verb::List && request.kind == "ConfigMap").then(|| error.clone())
                };
                fixture.cluster.set_fault(Some(Box::new(fault)));
            }
        };
        let occupied = |it: ClusterResult<Emptiness>| matches!(it, Ok(Emptiness::HasOthers(_)));
        assert!(occupied(verdict(&[], |it| it.discovery.failed.push("w.example".to_owned())).await));
        assert!(occupied(verdict(&[], failing(ClusterError::Forbidden("no".to_owned()))).await));
        let gone = verdict(&[], failing(ClusterError::NotFound("no".to_owned()))).await;
        assert!(matches!(gone, Ok(Emptiness::Pending(_))), "{gone:?}");
        assert!(verdict(&[], failing(ClusterError::unavailable("away"))).await.is_err());
    }

    #[tokio::test]
    async fn definition_is_empty_without_objects() {
        let things = json!({"group": "w.example", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "storage": true}]});
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.w.example"}, "spec": things});
        let mut fixture = Fixture::new().await;
        let before = fixture.discovery.clone();
        fixture.others_apply(&crd).await;
        fixture.discovery = fixture.cluster.discover().await.expect("discovery");
        let (group, kind) = ("apiextensions.k8s.io".to_owned(), "CustomResourceDefinition".to_owned());
        let object = ObjectRef { group, kind, namespace: None, name: "things.w.example".to_owned() };
        let observer = fixture.observer();
        let emptiness = || async { fixture.context(&observer).crd_emptiness(&object).await.expect("a verdict") };
        assert_eq!(emptiness().await, Emptiness::Empty);
        let thing =
            json!({"apiVersion": "w.example/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "default"}});
        fixture.others_apply(&thing).await;
        assert_eq!(emptiness().await, Emptiness::HasOthers("it has things that are not in this stack".to_owned()));

        // The discovery is older than the definition, so it cannot show its objects.
        let context = PassContext { discovery: &before, ..fixture.context(&observer) };
        let unserved = context.crd_emptiness(&object).await;
        assert_eq!(
            unserved,
            Ok(Emptiness::Pending("it is established, but the cluster does not serve it yet".to_owned()))
        );
        let hidden = context.namespace_emptiness("default", &BTreeSet::new()).await;
        assert_eq!(
            hidden,
            Ok(Emptiness::Pending(
                "the cluster has not updated the served kinds for the CustomResourceDefinition things.w.example"
                    .to_owned()
            ))
        );
        for (group, kind, expected) in [
            ("w.example", "Thing", true),
            ("w.example", "Other", false),
            ("other", "Thing", false),
            ("v1.example", "Thing", false),
        ] {
            assert_eq!(context.is_still_defined(group, kind).await, Ok(expected), "{kind}.{group}");
        }
    }

    #[test]
    fn each_listable_kind_counts_once() {
        let kind = |version: &str, kind: &str, group: &str| ApiKind {
            version: version.to_owned(),
            ..ApiKind::v1(group, kind, "them", true)
        };
        let view = ApiKind { listable: false, ..ApiKind::v1("", "View", "views", true) };
        let kinds = [kind("v2", "A", "x"), kind("v1", "B", "x"), kind("v1", "A", "x"), kind("v1", "A", "y"), view];
        let found: Vec<_> =
            one_version_each(kinds.iter()).into_iter().map(|it| (&*it.group, &*it.kind, &*it.version)).collect();
        assert_eq!(found, [("x", "A", "v2"), ("x", "B", "v1"), ("y", "A", "v1")]);
    }
}
