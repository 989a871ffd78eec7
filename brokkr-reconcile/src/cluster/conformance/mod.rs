//! Conformance suite for implementations of [`Cluster`]: one check per point of its contract.
//!
//! The checks use ConfigMaps, Namespaces, Roles and a custom resource definition with unique names, so that they can run
//! concurrently on one API server. The client needs the right to impersonate any user. Any release may change them.

mod apply;
#[cfg(test)]
mod broken;
mod fixture;
mod impersonation;
mod objects;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use apply::*;
pub use impersonation::*;
pub use objects::*;

use crate::cluster::Cluster;

/// A check of the suite.
#[derive(Clone, Copy)]
pub struct Check {
    /// Name of the check.
    pub name: &'static str,
    /// Runs the check. Panics if the cluster fails it.
    pub run: fn(Arc<dyn Cluster>) -> BoxFuture<'static, ()>,
}

/// Calls a macro with the names of all checks.
#[doc(hidden)]
#[macro_export]
macro_rules! __cluster_checks {
    ($callback:ident $(, $argument:expr)?) => {
        $callback! {
            [$($argument)?]
            missing_object_is_none
            created_is_reported
            unchanged_apply_changes_nothing
            fields_of_others_stay
            dropped_fields_are_removed
            conflicts_name_field_and_manager
            force_takes_fields_over
            apply_checks_the_uid
            apply_checks_the_resource_version
            dry_run_changes_nothing
            deletion_checks_the_uid
            finalizers_delay_deletion
            missing_namespace_is_an_error
            namespace_deletion_deletes_its_objects
            kind_is_served_while_defined
            lists_select_by_label
            lists_report_truncation
            watches_deliver_events
            ownership_can_be_edited
            impersonated_user_has_only_its_own_rights
            impersonated_user_cannot_escalate
        }
    };
}

macro_rules! list {
    ([] $($name:ident)*) => {
        /// Returns all checks.
        pub fn all() -> Vec<Check> {
            vec![$(Check { name: stringify!($name), run: |cluster| Box::pin($name(cluster)) }),*]
        }
    };
}

__cluster_checks!(list);

/// Generates one test per check.
///
/// The argument is an expression that returns `(guard, Arc<dyn Cluster>)`. It is evaluated in an async function on tokio,
/// and the guard lives until the check ends. All checks may use the same cluster.
#[macro_export]
macro_rules! cluster_conformance {
    ($make:expr) => {
        #[allow(unused_imports, reason = "needed outside of this crate only")]
        use $crate::__brokkr_cluster_tests;
        $crate::__cluster_checks!(__brokkr_cluster_tests, $make);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __brokkr_cluster_tests {
    ([$make:expr] $($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (_guard, cluster) = $make;
            $crate::cluster::conformance::$name(cluster).await;
        }
    )*};
}

#[cfg(test)]
mod memory {
    use std::sync::Arc;

    use crate::cluster::MemoryCluster;

    crate::cluster_conformance!(((), Arc::new(MemoryCluster::new())));
}
