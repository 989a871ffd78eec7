//! Reports events and statuses to the broker.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::{AgentId, InstanceId};
use brokkr_core::protocol::{ControlPlane, ControlPlaneError, Report};
use tokio_util::sync::CancellationToken;

use super::backoff::asked_pause;
use super::outbox::{Batch, Outbox};

/// Optional protocol features of this build: the action `hold`.
const CAPABILITIES: [&str; 1] = ["hold"];
/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Timeout of the last report when the agent stops.
const LAST_REPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// Reports until stopped. Sends one report at a time, and repeats it unchanged until the broker acknowledges it.
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
        let acknowledged = send(&*control_plane, agent, &report, &outbox, &stop).await;
        metrics::gauge!("brokkr_agent_events_waiting").set(outbox.waiting_events() as f64);
        if !acknowledged {
            outbox.put_back(report.events);
            return;
        }
        outbox.forget(&report.events);
    }
}

/// Sends one report until the broker acknowledges it. Returns `false` if further reports are useless.
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
            () = async { stop.cancelled().await; tokio::time::sleep(LAST_REPORT_TIMEOUT).await } => return false,
        };
        let error = match answer {
            Ok(answer) => {
                for rejected in &answer.rejected {
                    tracing::warn!(event = %rejected.id, problem = rejected.problem, "the broker rejected an event");
                }
                outbox.admit();
                return true;
            }
            Err(ControlPlaneError::Superseded(problem)) => {
                tracing::error!(
                    problem,
                    "the broker refuses this process, so it stops writing to the cluster: another process or cluster represents the agent. Restart it only after the other one has stopped"
                );
                outbox.supersede();
                return false;
            }
            Err(error @ ControlPlaneError::Rejected(_)) => {
                tracing::error!(%error, "the broker rejected a report; the agent reports the current state again");
                outbox.note_dropped();
                return true;
            }
            Err(error) => error,
        };
        failures += 1;
        tracing::debug!(%error, failures, "cannot send the report; the agent keeps it and retries");
        if stop.is_cancelled() {
            return false;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(asked_pause(error.retry_after(), failures, Duration::from_millis(500), LONGEST_PAUSE)) => {}
        }
    }
}
