//! Remembering how far the target state had come: a restart is no way back in time.

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

/// How many histories are remembered.
const HISTORIES: usize = 32;

/// A point of a history.
pub(super) type Mark = (Epoch, Generation);

/// The newest point of each history that was seen, the current one last: a detour through another history is no way
/// back in time.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(Vec<Mark>);

impl Marks {
    /// Where the current history is.
    pub(super) fn current(&self) -> Option<Mark> {
        self.0.last().copied()
    }

    /// How far this history had come.
    pub(super) fn highest(&self, epoch: Epoch) -> Option<Generation> {
        self.0.iter().find(|(before, _)| *before == epoch).map(|(_, generation)| *generation)
    }

    /// Makes this the current point.
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
        Self(text.split(',').filter_map(mark).take(HISTORIES).collect())
    }

    fn to_text(&self) -> String {
        let marks = self.0.iter().map(|(epoch, generation)| format!("{epoch} {}", generation.get()));
        marks.collect::<Vec<_>>().join(",")
    }
}

/// What was written down.
#[derive(Debug, Clone, Default)]
pub(super) struct Noted {
    pub(super) marks: Marks,
    /// The content of the target state at the current point.
    digest: Option<Digest>,
}

/// The newest target state that was worked on, kept in the cluster.
///
/// A process that was just started would else take whatever a replica or a cache that is behind tells it. It is written beside the
/// work, not before it: nothing waits for it. A later point with the same content is not worth a write.
#[derive(Debug)]
pub(super) struct Watermark {
    record: Record,
}

impl Watermark {
    pub(super) fn new(cluster: Arc<dyn Cluster>, namespace: String, agent: AgentId) -> Self {
        Self { record: Record::new(cluster, namespace, agent, "watermark") }
    }

    /// What earlier processes wrote down.
    pub(super) async fn read(&self) -> ClusterResult<Noted> {
        let data = self.record.read().await?;
        let text = |key| data.get(key).and_then(Value::as_str).unwrap_or_default();
        Ok(Noted { marks: Marks::from_text(text("seen")), digest: text("seenDigest").parse().ok() })
    }

    /// Writes down each target state that is reached, or a later one, until stopped; the last one is tried once more then.
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
            tracing::warn!(%error, failures, "cannot note how far the target state has come");
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
        assert!(Marks::from_text("x,, 1,7 7").0.is_empty(), "what was spoilt by hand is no mark");
    }
}
