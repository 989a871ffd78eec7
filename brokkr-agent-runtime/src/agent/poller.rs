//! Polls the broker for the newest target state.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::AgentId;
use brokkr_core::protocol::{ControlPlane, ControlPlaneError, PollAnswer, PollRequest, TargetState};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::AgentConfig;
use super::backoff::{asked_pause, pause};
use super::probe::Probe;
use super::watermark::Marks;

/// An unchanged answer that arrives faster than this was not a long poll.
const LONG_POLL_MIN: Duration = Duration::from_secs(1);

/// Polls until stopped. Passes on only target states that are complete, intact, and not older than `reached`.
pub(super) async fn run(
    control_plane: Arc<dyn ControlPlane>,
    agent: AgentId,
    config: AgentConfig,
    probe: Probe,
    reached: Marks,
    latest: watch::Sender<Option<Arc<TargetState>>>,
    stop: CancellationToken,
) {
    let mut seen = Seen(reached);
    let mut failures = 0;
    loop {
        let (epoch, min_generation) = seen.0.current().unzip();
        let request = PollRequest {
            known: latest.borrow().as_ref().map(|state| state.digest),
            epoch,
            min_generation,
            wait: config.poll_wait,
            knows_hold: true,
        };
        let (known, asked_at) = (request.known, Instant::now());
        let answer = tokio::select! {
            () = stop.cancelled() => return,
            answer = control_plane.target_state(agent, request) => answer,
        };
        let error = match answer.and_then(|poll| seen.check(agent, poll)) {
            Ok(state) => {
                failures = 0;
                probe.polled(if state.is_some() { "changed" } else { "unchanged" });
                match state.filter(|state| known != Some(state.digest)) {
                    Some(state) => {
                        tracing::debug!(generation = state.generation.get(), entries = state.count, "new target state");
                        latest.send_replace(Some(state));
                    }
                    // A proxy may answer immediately or hide the known state from the broker. Polling again at once would
                    // loop.
                    None if asked_at.elapsed() < LONG_POLL_MIN => tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause(1, LONG_POLL_MIN, LONG_POLL_MIN)) => {}
                    },
                    None => {}
                }
                continue;
            }
            Err(error) => error,
        };
        failures += 1;
        probe.polled("failed");
        tracing::warn!(%error, failures, "no usable answer from the broker; the agent keeps the last target state");
        let wait = asked_pause(error.retry_after(), failures, Duration::from_millis(500), config.retry_max);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// The newest target states that were seen. The poller refuses older ones.
#[derive(Default)]
struct Seen(Marks);

impl Seen {
    /// Refuses a target state that is older than a seen one, or that does not match its digest.
    fn check(&mut self, agent: AgentId, answer: PollAnswer) -> Result<Option<Arc<TargetState>>, ControlPlaneError> {
        let (epoch, generation) = match &answer {
            PollAnswer::Unchanged { epoch, generation } => (*epoch, *generation),
            PollAnswer::Changed(state) => (state.epoch, state.generation),
        };
        if let Some(highest) = self.0.highest(epoch)
            && generation < highest
        {
            return Err(ControlPlaneError::Malformed(format!(
                "the target state has generation {}, which is older than generation {} seen before",
                generation.get(),
                highest.get()
            )));
        }
        let state = match answer {
            PollAnswer::Unchanged { .. } => None,
            PollAnswer::Changed(state) => {
                if let Some(defect) = state.defect(agent) {
                    return Err(ControlPlaneError::Malformed(defect.to_owned()));
                }
                Some(state)
            }
        };
        self.0.reach((epoch, generation));
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::model::Epoch;
    use brokkr_core::model::Generation;

    use super::*;

    fn state(agent: AgentId, epoch: Epoch, generation: u64) -> TargetState {
        TargetState::new(agent, epoch, false, Generation::new(generation), Vec::new(), Vec::new())
    }

    #[test]
    fn older_or_altered_target_state_is_refused() {
        let (agent, epoch) = (AgentId::generate(), Epoch::generate());
        let mut seen = Seen::default();
        let changed = |state: TargetState| PollAnswer::Changed(Arc::new(state));
        assert!(seen.check(agent, changed(state(agent, epoch, 5))).is_ok());
        assert!(seen.check(agent, changed(state(agent, epoch, 4))).is_err());
        assert!(seen.check(agent, PollAnswer::Unchanged { epoch, generation: Generation::new(4) }).is_err());
        assert!(seen.check(agent, changed(state(AgentId::generate(), epoch, 6))).is_err());
        let mut touched = state(agent, epoch, 7);
        touched.count = 1;
        assert!(seen.check(agent, changed(touched)).is_err());
        assert!(seen.check(agent, changed(state(agent, epoch, 5))).is_ok(), "a refused state does not count as seen");
        assert!(seen.check(agent, changed(state(agent, Epoch::generate(), 1))).is_ok(), "another history");
        assert!(
            seen.check(agent, changed(state(agent, epoch, 4))).is_err(),
            "another epoch in between changes nothing"
        );
    }
}
