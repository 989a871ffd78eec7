//! Pages of lists.

use crate::model::limits;

/// A request for one page of a list: at most `limit` entries after the entry with the key `after`. Default: the first
/// [`PAGE_DEFAULT`](limits::PAGE_DEFAULT) entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<K> {
    /// The maximum number of entries, 1 to [`limits::PAGE_MAX`].
    pub limit: usize,
    /// The key of the last entry of the previous page; `None` for the first page. Use [`Listing::next`].
    pub after: Option<K>,
}

impl<K> Default for Page<K> {
    fn default() -> Self {
        Self { limit: limits::PAGE_DEFAULT, after: None }
    }
}

impl<K> Page<K> {
    /// The first page, with at most `limit` entries.
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T, K> {
    /// The entries of this page.
    pub items: Vec<T>,
    /// The key for [`Page::after`] of the next page; `None` on the last page.
    pub next: Option<K>,
}

impl<T, K> Listing<T, K> {
    /// Collects a page from `entries`, which start at the page's first entry. `key` returns the sort key of an entry.
    pub fn collect(entries: impl Iterator<Item = T>, limit: usize, key: impl Fn(&T) -> K) -> Self {
        let mut items: Vec<T> = entries.take(limit.saturating_add(1)).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }

    /// Converts each entry and keeps the key of the next page.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listing<U, K> {
        Listing { items: self.items.into_iter().map(change).collect(), next: self.next }
    }
}
