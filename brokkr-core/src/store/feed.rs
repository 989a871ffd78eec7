//! The feed: the public, ordered sequence of changes.

use std::fmt;
use std::str::FromStr;

use crate::model::{ActorRef, Change, RequestId, Timestamp};

/// A position in the feed. Positions are ordered but not dense: the distance of two positions has no meaning.
///
/// The text form, used in the REST API, is `<history>-<transaction>-<sequence>`.
///
/// ```
/// use brokkr_core::store::FeedPosition;
///
/// let position: FeedPosition = "1-42-0".parse()?;
/// assert!(position > FeedPosition::START);
/// assert_eq!(position.to_string(), "1-42-0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedPosition {
    /// The number of the history, whose id is the [`Epoch`](crate::model::Epoch). It grows when the numbering of
    /// transactions starts again, for example after a restore.
    pub history: u64,
    /// The transaction of the commit.
    pub transaction: u64,
    /// The index of the change within its commit.
    pub sequence: u64,
}

impl FeedPosition {
    /// The position before the first change. Also the default.
    pub const START: Self = Self { history: 0, transaction: 0, sequence: 0 };
}

impl fmt::Display for FeedPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.history, self.transaction, self.sequence)
    }
}

/// The text is not a feed position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid feed position: expected three numbers, such as 1-42-0")]
pub struct InvalidPosition;

impl FromStr for FeedPosition {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let mut parts = text.splitn(3, '-').map(|part| {
            let digits = Some(part).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse().ok()).ok_or(InvalidPosition)
        });
        let mut next = || parts.next().unwrap_or(Err(InvalidPosition));
        Ok(Self { history: next()?, transaction: next()?, sequence: next()? })
    }
}

/// One change in the feed, with its commit's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEntry {
    /// The position of the change.
    pub position: FeedPosition,
    /// The time of the decision, by the clock of the broker that made it.
    pub at: Timestamp,
    /// The actor that decided.
    pub actor: ActorRef,
    /// The request that led to the change.
    pub request_id: RequestId,
    /// The changed entity, complete, in its state after the change.
    pub change: Change,
}

/// A page of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// The changes, in feed order. Empty when there are no newer ones in scope.
    pub entries: Vec<FeedEntry>,
    /// The position from which to read the next page. It may advance even when `entries` is empty, past changes outside
    /// of the scope.
    pub next: FeedPosition,
}
