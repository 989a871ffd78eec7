//! The watermark: the newest target state of each epoch, so that a restarted agent does not accept an older one.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::{AgentId, Digest, Epoch, Generation};
use brokkr_core::protocol::TargetState;
use brokkr_reconcile::cluster::{Cluster, ClusterResult};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::AgentConfig;
use super::backoff::asked_pause;
use super::record::Record;

/// Maximum number of epochs.
const HISTORIES: usize = 32;

/// A position in an epoch.
pub(super) type Mark = (Epoch, Generation);

/// The newest position of each seen epoch, the current one last. Older epochs are kept, so that a switch to another epoch
/// and back does not accept an older state.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(Vec<Mark>);

impl Marks {
    /// Returns the position in the current epoch.
    pub(super) fn current(&self) -> Option<Mark> {
        self.0.last().copied()
    }

    /// Returns the newest generation of an epoch.
    pub(super) fn highest(&self, epoch: Epoch) -> Option<Generation> {
        self.0.iter().find(|(before, _)| *before == epoch).map(|(_, generation)| *generation)
    }

    /// Advances to a position, and makes its epoch the current one.
    pub(super) fn reach(&mut self, (epoch, generation): Mark) {
        self.0.retain(|(before, _)| *before != epoch);
        self.0.push((epoch, generation));
        if self.0.len() > HISTORIES {
            self.0.remove(0);
        }
    }

    fn from_text(text: &str) -> Self {
        let mark = |it: &str| {
            let (epoch, generation) = it.split_once(' ')?;
            Some((epoch.parse().ok()?, Generation::new(generation.parse().ok()?)))
        };
        let mut marks: Vec<Mark> = text.split(',').filter_map(mark).collect();
        // The current epoch is the last one.
        marks.drain(..marks.len().saturating_sub(HISTORIES));
        Self(marks)
    }

    fn to_text(&self) -> String {
        let marks = self.0.iter().map(|(epoch, generation)| format!("{epoch} {}", generation.get()));
        marks.collect::<Vec<_>>().join(",")
    }
}

/// The stored watermark.
#[derive(Debug, Clone, Default)]
pub(super) struct Noted {
    pub(super) marks: Marks,
    /// Digest of the target state at the current position.
    digest: Option<Digest>,
}

/// The newest target state that the worker has started on, stored in the cluster.
///
/// Without it, a new process would accept an older target state from an outdated replica or cache. The agent writes it
/// concurrently with the work, which does not wait for it. A later position with the same content is not written.
#[derive(Debug)]
pub(super) struct Watermark {
    record: Record,
}

impl Watermark {
    pub(super) fn new(cluster: Arc<dyn Cluster>, namespace: String, agent: AgentId) -> Self {
        Self { record: Record::new(cluster, namespace, agent, "watermark") }
    }

    /// Reads the watermark of earlier processes.
    pub(super) async fn read(&self) -> ClusterResult<Noted> {
        let data = self.record.read().await?;
        let text = |key| data.get(key).and_then(Value::as_str).unwrap_or_default();
        Ok(Noted { marks: Marks::from_text(text("seen")), digest: text("seenDigest").parse().ok() })
    }

    /// Writes each reached target state, or a later one, until stopped. A state that was reached just before the stop may
    /// stay unwritten: a new process then accepts a state that this one has replaced, as after a crash.
    pub(super) async fn keep(
        self,
        mut noted: Noted,
        mut reached: watch::Receiver<Option<Arc<TargetState>>>,
        config: AgentConfig,
        stop: CancellationToken,
    ) {
        let mut failures = 0;
        loop {
            tokio::select! {
                biased;
                changed = reached.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
            let state = reached.borrow_and_update().clone();
            let Some(state) = state.filter(|it| noted.digest != Some(it.digest)) else { continue };
            noted.marks.reach((state.epoch, state.generation));
            let data = json!({"seen": noted.marks.to_text(), "seenDigest": state.digest});
            let Err(error) = self.record.write(data).await else {
                noted.digest = Some(state.digest);
                failures = 0;
                continue;
            };
            failures += 1;
            tracing::warn!(%error, failures, "cannot store the watermark; the agent retries");
            reached.mark_changed();
            let wait = asked_pause(error.retry_after(), failures, Duration::from_millis(500), config.retry_max);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watermarks_round_trip_within_the_limit() {
        let mut marks = Marks::default();
        assert!(Marks::from_text(&marks.to_text()).0.is_empty());
        for generation in 0..2 * HISTORIES as u64 {
            marks.reach((Epoch::generate(), Generation::new(generation)));
        }
        let epoch = Epoch::generate();
        marks.reach((epoch, Generation::new(7)));
        marks.reach((epoch, Generation::new(u64::MAX)));
        assert_eq!(marks.0.len(), HISTORIES);
        assert_eq!(marks.highest(epoch), Some(Generation::new(u64::MAX)));
        assert_eq!(Marks::from_text(&marks.to_text()).0, marks.0);
        let longer = format!("{},{}", Marks::from_text(&marks.to_text()).to_text(), marks.to_text());
        assert_eq!(Marks::from_text(&longer).0, marks.0, "the newest positions count");
        assert!(Marks::from_text("x,, 1,7 7").0.is_empty(), "invalid entries are skipped");
    }
}
