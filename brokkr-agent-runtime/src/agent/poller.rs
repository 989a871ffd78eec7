//! Keeping the newest target state.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::{AgentId, Epoch};
use brokkr_core::protocol::{ControlPlane, ControlPlaneError, Poll, PollRequest, TargetState};
use brokkr_core::store::Generation;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::AgentConfig;
use super::backoff::{asked_pause, pause};
use super::probe::Probe;

/// How many histories are remembered.
const HISTORIES: usize = 32;
/// An answer without news that comes sooner than this was not waited for.
const BRISK: Duration = Duration::from_secs(1);

/// Polls until stopped. Only a complete, untouched and current target state is passed on.
pub(super) async fn run(
    control_plane: Arc<dyn ControlPlane>,
    agent: AgentId,
    config: AgentConfig,
    probe: Probe,
    latest: watch::Sender<Option<Arc<TargetState>>>,
    stop: CancellationToken,
) {
    let mut seen = Seen::default();
    let mut failures = 0;
    loop {
        let request = PollRequest {
            known: latest.borrow().as_ref().map(|state| state.digest),
            epoch: seen.0.last().map(|(epoch, _)| *epoch),
            min_generation: seen.generation(),
            wait: config.poll_wait,
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
                    // Something between us and the broker does not wait, or hides what we know from it: asking again at once
                    // would never end.
                    None if asked_at.elapsed() < BRISK => tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause(1, BRISK, BRISK)) => {}
                    },
                    None => {}
                }
                continue;
            }
            Err(error) => error,
        };
        failures += 1;
        probe.polled("failed");
        tracing::warn!(%error, failures, "no usable answer from the broker; everything stays as it is");
        let wait = asked_pause(error.retry_after(), failures, Duration::from_millis(500), config.retry_max);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// The newest point of each history that was seen, the current one last: a detour through another history is no way
/// back in time.
#[derive(Default)]
struct Seen(Vec<(Epoch, Generation)>);

impl Seen {
    fn generation(&self) -> Option<Generation> {
        self.0.last().map(|(_, generation)| *generation)
    }

    /// Refuses what goes back in time, and what is not what it says.
    fn check(&mut self, agent: AgentId, poll: Poll) -> Result<Option<Arc<TargetState>>, ControlPlaneError> {
        let (epoch, generation) = match &poll {
            Poll::Unchanged { epoch, generation } => (*epoch, *generation),
            Poll::Changed(state) => (state.epoch, state.generation),
        };
        if let Some((_, highest)) = self.0.iter().find(|(before, _)| *before == epoch)
            && generation < *highest
        {
            return Err(ControlPlaneError::Malformed(format!(
                "generation {} is older than {}, which was seen before",
                generation.get(),
                highest.get()
            )));
        }
        let state = match poll {
            Poll::Unchanged { .. } => None,
            Poll::Changed(state) => {
                if let Some(defect) = state.defect(agent) {
                    return Err(ControlPlaneError::Malformed(defect.to_owned()));
                }
                Some(state)
            }
        };
        self.0.retain(|(before, _)| *before != epoch);
        self.0.push((epoch, generation));
        if self.0.len() > HISTORIES {
            self.0.remove(0);
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(agent: AgentId, epoch: Epoch, generation: u64) -> TargetState {
        TargetState::new(agent, epoch, false, Generation::new(generation), Vec::new())
    }

    #[test]
    fn what_goes_back_or_was_touched_is_refused() {
        let (agent, epoch) = (AgentId::generate(), Epoch::generate());
        let mut seen = Seen::default();
        let changed = |state: TargetState| Poll::Changed(Arc::new(state));
        assert!(seen.check(agent, changed(state(agent, epoch, 5))).is_ok());
        assert!(seen.check(agent, changed(state(agent, epoch, 4))).is_err());
        assert!(seen.check(agent, Poll::Unchanged { epoch, generation: Generation::new(4) }).is_err());
        assert!(seen.check(agent, changed(state(AgentId::generate(), epoch, 6))).is_err());
        let mut touched = state(agent, epoch, 7);
        touched.count = 1;
        assert!(seen.check(agent, changed(touched)).is_err());
        assert!(seen.check(agent, changed(state(agent, epoch, 5))).is_ok(), "what was refused was not seen");
        assert!(seen.check(agent, changed(state(agent, Epoch::generate(), 1))).is_ok(), "another history");
        assert!(seen.check(agent, changed(state(agent, epoch, 4))).is_err(), "no detour leads back in time");
        for _ in 0..2 * HISTORIES {
            assert!(seen.check(agent, changed(state(agent, Epoch::generate(), 1))).is_ok());
        }
        assert_eq!(seen.0.len(), HISTORIES);
    }
}
