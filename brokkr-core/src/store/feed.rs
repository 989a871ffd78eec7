//! The public sequence of changes.

use std::fmt;
use std::str::FromStr;

use crate::model::{ActorRef, Change, RequestId, Timestamp};

/// A place in the feed. Positions are ordered; there is no meaning in the distance of two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedPosition {
    /// Counts restarts of the numbering of transactions.
    pub epoch: u64,
    /// The transaction.
    pub transaction: u64,
    /// The change within it.
    pub sequence: u64,
}

impl FeedPosition {
    /// Before everything.
    pub const START: Self = Self { epoch: 0, transaction: 0, sequence: 0 };
}

impl fmt::Display for FeedPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.epoch, self.transaction, self.sequence)
    }
}

/// A text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position of the feed")]
pub struct InvalidPosition;

impl FromStr for FeedPosition {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let mut parts = text.splitn(3, '-').map(|part| part.parse().map_err(|_| InvalidPosition));
        let mut next = || parts.next().unwrap_or(Err(InvalidPosition));
        Ok(Self { epoch: next()?, transaction: next()?, sequence: next()? })
    }
}

/// One change in the feed, with who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEntry {
    /// Its place.
    pub position: FeedPosition,
    /// When it was decided.
    pub at: Timestamp,
    /// Who decided.
    pub actor: ActorRef,
    /// In the course of which request.
    pub request_id: RequestId,
    /// The fact.
    pub change: Change,
}

/// A part of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// The changes in order.
    pub entries: Vec<FeedEntry>,
    /// Where to go on, also when there are no entries.
    pub next: FeedPosition,
}
