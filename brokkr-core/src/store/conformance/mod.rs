//! The suite that proves a store: one check per duty of [`Store`].
//!
//! An implementor expands it in a test module:
//!
//! ```
//! # #[cfg(test)]
//! mod conformance {
//!     use std::sync::Arc;
//!     use brokkr_core::store::MemoryStore;
//!
//!     // A fresh store for each check, and a guard that is dropped after it.
//!     brokkr_core::store_conformance!(((), Arc::new(MemoryStore::new())));
//! }
//! ```
//!
//! The checks may change in any release: what they demand is the contract, and that becomes clearer with time.

#[cfg(test)]
mod broken;
mod commits;
mod feed;
mod fixture;
mod lists;
pub mod random;
pub mod sample;
mod scopes;
mod upkeep;
mod view;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use commits::*;
pub use feed::*;
pub use lists::*;
pub use scopes::*;
pub use upkeep::*;
pub use view::*;

use crate::store::Store;

/// One check of the suite.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Runs it on a fresh store; panics when the store fails it.
    pub run: fn(Arc<dyn Store>) -> BoxFuture<'static, ()>,
}

/// Calls a macro with the names of all checks.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_checks {
    ($callback:ident $(, $argument:expr)?) => {
        $callback! {
            [$($argument)?]
            a_commit_is_visible_afterwards
            a_refused_commit_changes_nothing
            versions_rise_by_one
            one_of_many_writers_wins
            preconditions_hold_at_the_commit
            a_generator_that_owns_stacks_stays
            names_are_unique_among_the_living
            short_ids_are_unique_for_ever
            revisions_are_unique
            what_is_immutable_stays
            malformed_commits_are_refused
            an_idempotency_key_is_taken_once
            every_commit_is_audited
            attempts_are_recorded
            activity_keeps_the_newest_times
            generators_see_their_own
            agents_see_what_is_listed
            tombstones_do_not_exist
            lists_are_whole_and_stable
            lists_filter_literally
            documents_are_like_other_entities
            records_come_newest_first
            the_feed_has_everything_once_in_order
            the_feed_is_scoped
            the_feed_misses_nothing_under_load
            a_snapshot_has_what_matters
            the_tail_goes_on_from_the_snapshot
            the_view_misses_nothing_under_load
            a_lease_has_one_holder
            what_is_kept_for_long_enough_goes
            subscribers_are_told
            the_epoch_does_not_change_by_itself
        }
    };
}

macro_rules! list {
    ([] $($name:ident)*) => {
        /// Every check.
        pub fn all() -> Vec<Check> {
            vec![$(Check { name: stringify!($name), run: |store| Box::pin($name(store)) }),*]
        }
    };
}

__store_checks!(list);

/// Expands to one test per check. The argument makes a guard and a fresh store, as `(guard, Arc<dyn Store>)`; it is evaluated in an
/// async function on tokio.
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
