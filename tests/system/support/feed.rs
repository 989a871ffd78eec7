//! Reading the feed from its beginning.

use std::time::{Duration, Instant};

use brokkr_core::model::{Change, Stack};
use brokkr_core::store::{FeedPosition, Scope, Store};

/// The stacks of the feed in its order, as each change left them, until one is the last that is wanted. Transactions of others
/// may hold the feed up for a moment.
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
        assert!(Instant::now() < deadline, "the feed does not get there: {position}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
