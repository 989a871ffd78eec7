//! View tokens of the in-memory store.

use crate::store::{FeedPosition, Moment};

/// A view that has seen this number of commits.
#[derive(Debug)]
pub(in crate::store) struct Seen {
    pub(in crate::store) commits: u64,
}

impl Moment for Seen {
    fn contains(&self, position: FeedPosition) -> bool {
        position.transaction <= self.commits
    }
}
