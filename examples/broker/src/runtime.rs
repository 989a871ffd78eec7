//! The broker's runtime: requests are answered in about the order in which they come, also when a thousand come at once.

use tokio::runtime::{Builder, Runtime};

/// A worker's own queue holds 256 tasks; what is beyond that waits in the queue of all, which tokio looks at rarely unless told:
/// then the last of a thousand polls waits twice as long as most. Here a worker takes from the one and the other in turns.
///
/// Never 1: a worker would prefer the queue of all whenever there is something in it, and under load what is in its own queue,
/// up to 256 connections, would wait for as long as the load lasts.
const QUEUE_OF_ALL_EVERY: u32 = 2;

/// So many connections are woken at once as a worker's own queue holds.
const EVENTS_AT_ONCE: usize = 256;

/// A runtime with a worker per core.
///
/// # Errors
///
/// The operating system gives no threads.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    builder().build()
}

fn builder() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().global_queue_interval(QUEUE_OF_ALL_EVERY).max_io_events_per_tick(EVENTS_AT_ONCE);
    builder
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    const FROM_OUTSIDE: usize = 10_000;
    /// What a worker takes from the queue of all at once, it puts into its own; some of its 256 places may so be before a task.
    const AT_MOST_BEFORE: usize = 512;

    #[test]
    fn a_full_queue_of_all_does_not_starve_a_workers_own() {
        let runtime = builder().worker_threads(1).build().unwrap();
        let (ran, reached) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(FROM_OUTSIDE)));
        let filled = Arc::new(AtomicBool::new(false));
        let (outer, seen, ready) = (ran.clone(), reached.clone(), filled.clone());
        // Holds the only worker until the queue of all is full. Of what it spawns the last has a place of its own, before all; so
        // the one that is watched comes first, and is in the worker's own queue.
        runtime.spawn(async move {
            tokio::spawn(async move { seen.store(outer.load(Ordering::Relaxed), Ordering::Relaxed) });
            tokio::spawn(async {});
            while !ready.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let tasks: Vec<_> = (0..FROM_OUTSIDE)
            .map(|_| {
                let ran = ran.clone();
                runtime.spawn(async move {
                    ran.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        filled.store(true, Ordering::Relaxed);
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        let before = reached.load(Ordering::Relaxed);
        assert!(before <= AT_MOST_BEFORE, "the worker's own task waited for {before} others");
    }
}
