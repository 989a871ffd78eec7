//! Reads that the fleet view is built from.

use crate::model::{Change, Timestamp};
use crate::store::view_token::ViewToken;

/// All entities of the fleet view, read at one moment.
#[derive(Debug, Clone)]
pub struct ViewSnapshot {
    /// The living entities of [the view's kinds](crate::model::EntityKind::is_in_view). Of each living stack's
    /// deployment objects, only the newest.
    pub entities: Vec<Change>,
    /// The token for the next [`view_tail`](crate::store::Store::view_tail).
    pub token: ViewToken,
    /// The store's time of the read: that of its clock, and never before that of an earlier commit.
    pub now: Timestamp,
}

/// The changes since a token was issued.
#[derive(Debug, Clone)]
pub struct ViewTail {
    /// The changes of entities of the view's kinds, including tombstones. Changes of one entity are in the order of
    /// their versions.
    pub entities: Vec<Change>,
    /// The token for the next [`view_tail`](crate::store::Store::view_tail).
    pub token: ViewToken,
    /// The store's time of the read: that of its clock, and never before that of an earlier commit.
    pub now: Timestamp,
}
