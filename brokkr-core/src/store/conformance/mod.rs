//! The conformance suite for implementations of [`Store`].
//!
//! Expand it in a test module:
//!
//! ```
//! # #[cfg(test)]
//! mod conformance {
//!     use std::sync::Arc;
//!     use brokkr_core::store::MemoryStore;
//!
//!     // A guard, dropped after the check, and a new store for each check.
//!     brokkr_core::store_conformance!(((), Arc::new(MemoryStore::new())));
//! }
//! ```
//!
//! Any release may add or sharpen checks of the documented contract.

#[cfg(test)]
mod broken;
mod commits;
mod environments;
mod feed;
mod fixture;
mod lists;
mod quotas;
pub mod random;
pub mod sample;
mod scopes;
mod upkeep;
mod view;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use commits::*;
pub use environments::*;
pub use feed::*;
pub use lists::*;
pub use quotas::*;
pub use scopes::*;
pub use upkeep::*;
pub use view::*;

use crate::store::Store;

/// One check of the suite.
#[derive(Clone, Copy)]
pub struct Check {
    /// The name of the check.
    pub name: &'static str,
    /// Runs the check on an empty store. Panics if the store fails.
    pub run: fn(Arc<dyn Store>) -> BoxFuture<'static, ()>,
}

/// Calls a macro with the names of all checks.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_checks {
    ($callback:ident $(, $argument:expr)?) => {
        $callback! {
            [$($argument)?]
            committed_entities_read_back_unchanged
            refused_commit_changes_nothing
            version_must_be_the_stored_one_plus_one
            exactly_one_of_concurrent_writers_succeeds
            failed_precondition_is_a_conflict
            generator_with_stacks_cannot_be_deleted
            named_environment_cannot_be_deleted
            names_are_unique_among_living_entities
            short_id_of_a_revoked_key_stays_taken
            revisions_are_unique_per_stack
            immutable_entities_cannot_be_changed
            malformed_commit_is_refused
            idempotency_key_is_taken_once
            quota_use_is_counted
            quota_holds_under_races
            quota_of_answers_is_kept
            every_commit_is_audited
            attempts_are_recorded
            activity_keeps_the_newest_times
            generator_sees_only_its_own_rows
            agent_sees_only_its_own_rows
            limited_key_sees_only_its_environments
            tombstones_are_not_found
            lists_are_complete_and_stable
            lists_filter_literally
            lists_filter_by_environment
            document_entities_behave_like_others
            records_are_listed_newest_first
            feed_contains_every_change_once_in_order
            feed_is_scoped
            feed_misses_nothing_under_load
            snapshot_contains_the_living_entities_of_the_view
            tail_continues_from_the_snapshot
            view_misses_nothing_under_load
            lease_has_one_holder
            lost_lease_fences_commits
            notes_on_leases_are_kept
            time_never_goes_back
            purge_drops_records_older_than_the_retention
            subscribers_are_notified_of_commits
            epoch_and_secret_are_constant
        }
    };
}

macro_rules! list {
    ([] $($name:ident)*) => {
        /// All checks of the suite.
        pub fn all() -> Vec<Check> {
            vec![$(Check { name: stringify!($name), run: |store| Box::pin($name(store)) }),*]
        }
    };
}

__store_checks!(list);

/// Expands to one tokio test per check. The argument is an expression of the type `(guard, Arc<dyn Store>)` that
/// creates an empty store. Each test evaluates it in an async function and drops the guard at its end.
#[macro_export]
macro_rules! store_conformance {
    ($make:expr) => {
        #[allow(unused_imports, reason = "needed outside of this crate only")]
        use $crate::__brokkr_store_tests;
        $crate::__store_checks!(__brokkr_store_tests, $make);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __brokkr_store_tests {
    ([$make:expr] $($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (_guard, store) = $make;
            $crate::store::conformance::$name(store).await;
        }
    )*};
}

#[cfg(test)]
mod memory {
    use std::sync::Arc;

    use crate::store::MemoryStore;

    crate::store_conformance!(((), Arc::new(MemoryStore::new())));
}
