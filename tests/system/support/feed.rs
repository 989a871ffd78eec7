//! Reads the feed from its beginning.

use std::time::{Duration, Instant};

use brokkr_core::model::{Change, Stack};
use brokkr_core::store::{FeedPosition, Scope, Store};

/// The stacks in the feed, in order and after each change, up to the one for which `is_last` is true. Other transactions
/// may delay the feed for a moment.
pub(crate) async fn stacks_of_feed(store: &dyn Store, is_last: impl Fn(FeedPosition, &Stack) -> bool) -> Vec<Stack> {
    let (mut position, mut found) = (FeedPosition::START, Vec::new());
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let page = store.feed(&Scope::All, position, 500).await.unwrap();
        position = page.next;
        let mut ends = false;
        for entry in page.entries {
            if let Change::Stack(stack) = entry.change {
                ends |= is_last(entry.position, &stack);
                found.push(stack);
            }
        }
        if ends {
            return found;
        }
        assert!(Instant::now() < deadline, "the feed did not reach the expected change: {position}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
