//! The broker's tokio runtime, configured to answer a thousand simultaneous requests in roughly their order of arrival.

use tokio::runtime::{Builder, Runtime};

/// Tasks after which a worker checks tokio's global queue. A worker's local queue holds 256 tasks; further ones wait in the
/// global queue, which tokio checks rarely by default. With the default the last of a thousand polls waits twice as long as
/// most. With 2 a worker alternates between the queues.
///
/// Never 1: a worker would then always prefer the global queue, and under load the up to 256 tasks in its local queue would
/// starve.
const GLOBAL_QUEUE_INTERVAL: u32 = 2;

/// I/O events per tick: as many as a worker's local queue holds.
const EVENTS_AT_ONCE: usize = 256;

/// Builds a multi-threaded runtime with one worker per core.
///
/// # Errors
///
/// Returns an error if the operating system cannot create threads.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    builder().build()
}

fn builder() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().global_queue_interval(GLOBAL_QUEUE_INTERVAL).max_io_events_per_tick(EVENTS_AT_ONCE);
    builder
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may panic")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    const GLOBAL_TASKS: usize = 10_000;
    /// A worker moves a batch from the global queue to its local queue of 256 places, so that batch may run before a local
    /// task.
    const MAX_TASKS_BEFORE: usize = 512;

    #[test]
    fn full_global_queue_does_not_starve_local_tasks() {
        let runtime = builder().worker_threads(1).build().unwrap();
        let (ran, reached) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(GLOBAL_TASKS)));
        let filled = Arc::new(AtomicBool::new(false));
        let (outer, seen, ready) = (ran.clone(), reached.clone(), filled.clone());
        // Occupies the only worker until the global queue is full. tokio runs the task spawned last first, from the LIFO
        // slot, so the observed task is spawned before another one and stays in the local queue.
        runtime.spawn(async move {
            tokio::spawn(async move { seen.store(outer.load(Ordering::Relaxed), Ordering::Relaxed) });
            tokio::spawn(async {});
            while !ready.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let tasks: Vec<_> = (0..GLOBAL_TASKS)
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
        assert!(before <= MAX_TASKS_BEFORE, "the local task waited for {before} other tasks");
    }
}
