//! Telling the broker what happened.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::{AgentId, InstanceId};
use brokkr_core::protocol::{ControlPlane, ControlPlaneError, Report};
use tokio_util::sync::CancellationToken;

use super::backoff::asked_pause;
use super::outbox::{Batch, Outbox};

/// What this build can do beyond the base protocol; none yet.
const CAPABILITIES: [&str; 0] = [];
/// The longest pause between tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the last report may take when the agent stops.
const LAST_WORD: Duration = Duration::from_secs(3);

/// Reports until stopped: one report at a time, repeated unchanged until it is acknowledged.
pub(super) async fn run(
    control_plane: Arc<dyn ControlPlane>,
    agent: AgentId,
    cluster_uid: String,
    outbox: Arc<Outbox>,
    stop: CancellationToken,
) {
    let instance_id = InstanceId::generate();
    let mut sequence = 0;
    loop {
        let Some(Batch { events, status, held }) = outbox.take() else {
            tokio::select! {
                () = stop.cancelled() => return,
                () = outbox.ready.notified() => continue,
            }
        };
        sequence += 1;
        let report = Report {
            instance_id,
            sequence,
            cluster_uid: cluster_uid.clone(),
            held,
            events,
            status,
            capabilities: (sequence == 1).then(|| CAPABILITIES.map(str::to_owned).to_vec()),
        };
        let told = send(&*control_plane, agent, &report, &outbox, &stop).await;
        metrics::gauge!("brokkr_agent_events_waiting").set(outbox.waiting_events() as f64);
        if !told {
            outbox.put_back(report.events);
            return;
        }
        outbox.forget(&report.events);
    }
}

/// Sends one report until it is acknowledged; `false` when there is no point in sending more.
async fn send(
    control_plane: &dyn ControlPlane,
    agent: AgentId,
    report: &Report,
    outbox: &Outbox,
    stop: &CancellationToken,
) -> bool {
    let mut failures = 0;
    loop {
        let answer = tokio::select! {
            answer = control_plane.report(agent, report) => answer,
            () = async { stop.cancelled().await; tokio::time::sleep(LAST_WORD).await } => return false,
        };
        let error = match answer {
            Ok(answer) => {
                for rejected in &answer.rejected {
                    tracing::warn!(event = %rejected.id, problem = rejected.problem, "the broker rejects an event");
                }
                outbox.admit();
                return true;
            }
            Err(ControlPlaneError::Superseded(problem)) => {
                tracing::error!(
                    problem,
                    "this process does not speak for the agent; it stops changing the cluster. Start it again only where the other one does not run"
                );
                outbox.supersede();
                return false;
            }
            Err(error @ ControlPlaneError::Rejected(_)) => {
                tracing::error!(%error, "the broker rejects a report; what is there is told anew");
                outbox.drop_something();
                return true;
            }
            Err(error) => error,
        };
        failures += 1;
        tracing::debug!(%error, failures, "cannot report now; it is kept");
        if stop.is_cancelled() {
            return false;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(asked_pause(error.retry_after(), failures, Duration::from_millis(500), LONGEST_PAUSE)) => {}
        }
    }
}
