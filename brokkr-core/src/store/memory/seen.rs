//! What a view on the store in memory has seen.

use crate::store::{FeedPosition, Moment};

/// The first so many commits.
#[derive(Debug)]
pub(in crate::store) struct Seen {
    pub(in crate::store) commits: u64,
}

impl Moment for Seen {
    fn contains(&self, position: FeedPosition) -> bool {
        position.transaction <= self.commits
    }
}
