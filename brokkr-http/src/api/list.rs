//! Pages of lists.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// The entries, in a stable order.
    pub items: Vec<T>,
    /// What to pass as `cursor` for the next page; null on the last one.
    pub next: Option<String>,
}
