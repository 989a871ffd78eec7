//! What the fleet view is built from.

use crate::model::Change;
use crate::store::view_token::ViewToken;

/// Everything that is needed to answer agents at one moment.
#[derive(Debug, Clone)]
pub struct ViewSnapshot {
    /// All entities of [the view's kinds](crate::model::EntityKind::is_in_view) that are not gone; of deployment objects the newest of each such stack.
    pub entities: Vec<Change>,
    /// Where to go on.
    pub token: ViewToken,
}

/// What came since.
#[derive(Debug, Clone)]
pub struct ViewTail {
    /// The changed entities of the view's kinds, those of one entity in the order of their versions; gone ones included.
    pub entities: Vec<Change>,
    /// Where to go on.
    pub token: ViewToken,
}
