//! Pages of lists.

use crate::model::limits;

/// Which part of a list is asked for: at most `limit` entries behind the entry with key `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<K> {
    /// Entries at the most, 1 to [`limits::PAGE_MAX`].
    pub limit: usize,
    /// The key of the last entry of the page before.
    pub after: Option<K>,
}

impl<K> Default for Page<K> {
    fn default() -> Self {
        Self { limit: limits::PAGE_DEFAULT, after: None }
    }
}

impl<K> Page<K> {
    /// The first page, with `limit` entries.
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T, K> {
    /// The entries.
    pub items: Vec<T>,
    /// The key to go on from; absent on the last page.
    pub next: Option<K>,
}

impl<T, K> Listing<T, K> {
    /// Makes a page of entries that begin where the page does; `key` tells an entry's place.
    pub fn collect(entries: impl Iterator<Item = T>, limit: usize, key: impl Fn(&T) -> K) -> Self {
        let mut items: Vec<T> = entries.take(limit.saturating_add(1)).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }

    /// The same page of other things.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listing<U, K> {
        Listing { items: self.items.into_iter().map(change).collect(), next: self.next }
    }
}
