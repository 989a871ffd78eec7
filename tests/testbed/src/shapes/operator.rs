//! The one-file install of an operator.

use super::{Names, Release, stream};

/// Number of objects in the first release of [`operator`].
pub const OPERATOR_OBJECTS: usize = 125;

const KINDS: [&str; 8] = ["Backup", "Cache", "Cluster", "Database", "Pool", "Schedule", "Source", "User"];
const COMPONENTS: [&str; 10] = [
    "admission",
    "backups",
    "caches",
    "controller",
    "dashboard",
    "exporter",
    "gateway",
    "pools",
    "scheduler",
    "sources",
];

/// Namespace, definitions, RBAC with aggregated ClusterRoles, webhooks, Services, workloads, ConfigMaps with files in them,
/// PodDisruptionBudgets, and custom resources of its own kinds: 125 objects.
///
/// Represents the install file of an operator. The webhooks' service never answers; the API server only calls it for
/// objects with a label that no object here has. The second release gives one kind another version, drops a component with
/// all of its objects, adds fields and drops keys.
pub fn operator(at: &Names, release: Release) -> String {
    let mut documents = vec![include_str!("operator/base.yaml").replace("__version__", release.pick("1.8.3", "1.9.0"))];
    documents.extend(KINDS.iter().enumerate().map(|(number, kind)| definition(number, kind, release)));
    let components = release.pick(COMPONENTS.len(), COMPONENTS.len() - 1);
    documents.extend(COMPONENTS.iter().take(components).enumerate().map(|(number, it)| component(number, it, release)));
    documents.extend(KINDS.iter().map(|kind| {
        include_str!("operator/resource.yaml").replace("__Kind__", kind).replace("__kind__", &kind.to_lowercase())
    }));
    at.fill(&stream(documents))
}

/// The definition of one kind with its three aggregated roles.
fn definition(number: usize, kind: &str, release: Release) -> String {
    let more = if number == 2 && release == Release::Second { NEXT_VERSION } else { "" };
    include_str!("operator/definition.yaml")
        .replace("__more__\n", more)
        .replace("__kinds__", &format!("{}s", kind.to_lowercase()))
        .replace("__kind__", &kind.to_lowercase())
        .replace("__Kind__", kind)
}

/// A version that the second release adds. The old version stays the stored one.
const NEXT_VERSION: &str = r#"  - name: v1beta2
    served: true
    storage: false
    subresources:
      status: {}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-preserve-unknown-fields: true
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
"#;

/// One component: account, binding, Service, Deployment and configuration. Some components have more objects.
fn component(number: usize, name: &str, release: Release) -> String {
    let mut documents = vec![include_str!("operator/component.yaml")];
    if number.is_multiple_of(3) {
        documents.push(include_str!("operator/budget.yaml"));
    }
    if number.is_multiple_of(2) {
        documents.push(include_str!("operator/rights.yaml"));
    }
    stream(documents)
        .replace("__level__", release.pick("info", "warn"))
        .replace(
            "__dropped__\n",
            release.pick("  legacy.properties: |\n    # dropped by the next release\n    a=b\n", ""),
        )
        .replace("__changed__", release.pick("  revisionHistoryLimit: 3", "  minReadySeconds: 1"))
        .replace("__replicas__", &(1 + number % 2).to_string())
        .replace("__version__", release.pick("1.8.3", "1.9.0"))
        .replace("__component__", name)
        .trim_start_matches("---\n")
        .to_owned()
}
