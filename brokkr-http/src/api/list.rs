//! Pagination.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// The entries, in a stable order.
    pub items: Vec<T>,
    /// Pass it as `cursor` to read the next page; null on the last page.
    pub next: Option<String>,
}
