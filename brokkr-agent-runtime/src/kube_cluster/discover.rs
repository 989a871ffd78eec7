//! Discovery of the kinds that the API server serves.
//!
//! Aggregated discovery (two requests, Kubernetes 1.26 and later) marks stale versions, which count as failed. For older
//! servers, each group is requested separately.

use brokkr_reconcile::cluster::{ApiKind, ClusterError, ClusterResult, Discovery};
use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::KubeCluster;
use super::request::ApiRequest;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Groups {
    kind: String,
    #[serde(deserialize_with = "or_default")]
    items: Vec<Group>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    #[serde(deserialize_with = "or_default")]
    metadata: Named,
    #[serde(deserialize_with = "or_default")]
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    #[serde(deserialize_with = "or_default")]
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    version: String,
    #[serde(deserialize_with = "or_default")]
    freshness: String,
    #[serde(deserialize_with = "or_default")]
    resources: Vec<Resource>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Resource {
    resource: String,
    #[serde(deserialize_with = "or_default")]
    response_kind: Kind,
    #[serde(deserialize_with = "or_default")]
    scope: String,
    #[serde(deserialize_with = "or_default")]
    verbs: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kind {
    #[serde(deserialize_with = "or_default")]
    kind: String,
}

pub(super) async fn discover(cluster: &KubeCluster) -> ClusterResult<Discovery> {
    let mut discovery = Discovery::default();
    for root in ["/api", "/apis"] {
        let mut request = ApiRequest::new(Method::GET, root.to_owned());
        request.accept = AGGREGATED;
        let response = cluster.send(request).await?.json()?;
        if response["kind"] == "APIGroupDiscoveryList" {
            let groups: Groups = serde_json::from_value(response)
                .map_err(|_| ClusterError::unavailable("cannot parse the discovery document"))?;
            add_groups(&mut discovery, groups);
        } else {
            add_one_by_one(cluster, &mut discovery, root, &response).await?;
        }
    }
    // Every API server serves this kind. A response without it comes from something else, and must not count as "no kinds
    // are served".
    if discovery.exact("", "v1", "Namespace").is_none() {
        return Err(ClusterError::unavailable("the discovery document has no core group"));
    }
    Ok(discovery)
}

fn is_listable(verbs: &[String]) -> bool {
    ["list", "delete"].iter().all(|verb| verbs.iter().any(|it| it == verb))
}

fn add_groups(discovery: &mut Discovery, groups: Groups) {
    debug_assert_eq!(groups.kind, "APIGroupDiscoveryList");
    for group in groups.items {
        for version in group.versions {
            if version.freshness == "Stale" {
                discovery.failed.push(group.metadata.name.clone());
                continue;
            }
            let kinds = version.resources.into_iter().filter(|it| !it.response_kind.kind.is_empty());
            discovery.kinds.extend(kinds.map(|resource| ApiKind {
                group: group.metadata.name.clone(),
                version: version.version.clone(),
                kind: resource.response_kind.kind,
                plural: resource.resource,
                namespaced: resource.scope == "Namespaced",
                listable: is_listable(&resource.verbs),
            }));
        }
    }
}

/// Legacy discovery: a list of groups, and one document per version.
async fn add_one_by_one(
    cluster: &KubeCluster,
    discovery: &mut Discovery,
    root: &str,
    response: &Value,
) -> ClusterResult<()> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut versions: Vec<(String, String, String)> = Vec::new();
    if root == "/api" {
        versions.extend(
            texts(&response["versions"]).into_iter().map(|it| (String::new(), it.clone(), format!("/api/{it}"))),
        );
    }
    for group in response["groups"].as_array().into_iter().flatten() {
        let name = group["name"].as_str().unwrap_or_default();
        let preferred = group.pointer("/preferredVersion/version").and_then(Value::as_str).unwrap_or_default();
        let mut all: Vec<&str> =
            group["versions"].as_array().into_iter().flatten().filter_map(|it| it["version"].as_str()).collect();
        all.sort_by_key(|version| *version != preferred);
        versions.extend(all.into_iter().map(|it| (name.to_owned(), it.to_owned(), format!("/apis/{name}/{it}"))));
    }
    for (group, version, path) in versions {
        let document = match cluster.send(ApiRequest::new(Method::GET, path)).await?.json() {
            Ok(document) => document,
            Err(_) => {
                discovery.failed.push(group);
                continue;
            }
        };
        let resources = document["resources"].as_array().into_iter().flatten();
        discovery.kinds.extend(resources.filter_map(|resource| {
            let plural = resource["name"].as_str().filter(|name| !name.contains('/'))?;
            Some(ApiKind {
                group: group.clone(),
                version: version.clone(),
                kind: resource["kind"].as_str()?.to_owned(),
                plural: plural.to_owned(),
                namespaced: resource["namespaced"].as_bool().unwrap_or(false),
                listable: is_listable(&texts(&resource["verbs"])),
            })
        }));
    }
    Ok(())
}
