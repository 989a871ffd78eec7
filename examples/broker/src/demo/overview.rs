//! Waits for the stack's convergence and formats its status as a table.

use std::time::Duration;

use brokkr_control::{Actor, AgentStackStatus, Broker, StackOverview};
use brokkr_core::model::{Condition, ConditionStatus, StackId};
use tokio::time::Instant;

/// Timeout of the convergence and of the removal.
pub(crate) const CONVERGENCE: Duration = Duration::from_secs(60);

/// The condition that counts as converged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Every agent has applied the newest revision. Used for real clusters, which cannot run the example's fictitious image.
    Applied,
    /// In addition, every object is ready.
    Available,
}

/// Waits until every agent has reached the condition. Returns the last status, and the reason on timeout.
pub(crate) async fn converge(
    broker: &Broker,
    admin: &Actor,
    stack: StackId,
    agents: usize,
    wanted: Wanted,
) -> Result<(StackOverview, Result<(), String>), String> {
    let deadline = Instant::now() + CONVERGENCE;
    loop {
        let status = broker.stack_status(admin, stack).await.map_err(|error| error.to_string())?;
        let done = status.agents.iter().filter(|it| is_done(it, wanted)).count();
        if done == agents {
            return Ok((status, Ok(())));
        }
        if Instant::now() >= deadline {
            let reasons: Vec<String> =
                status.agents.iter().filter_map(|it| Some(format!("{}: {}", it.agent_name, it.state().1?))).collect();
            let why = if reasons.is_empty() { "no agent reported a reason".to_owned() } else { reasons.join("; ") };
            let state = if wanted == Wanted::Applied { "applied" } else { "available" };
            return Ok((status, Err(format!("{state} on {done} of {agents} agents after 60 s ({why})"))));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_done(agent: &AgentStackStatus, wanted: Wanted) -> bool {
    let is_applied = agent.status.as_ref().is_some_and(|it| it.applied_revision == agent.desired_revision);
    let is_available = || {
        available(agent)
            .is_some_and(|it| it.status == ConditionStatus::True && it.observed_revision == agent.desired_revision)
    };
    is_applied && (wanted == Wanted::Applied || is_available())
}

fn available(agent: &AgentStackStatus) -> Option<&Condition> {
    agent.status.as_ref()?.conditions.iter().find(|it| it.kind == "Available")
}

/// Formats the status as a table with one line per agent. In the demo an agent has the name of its cluster.
pub(crate) fn table(stack: &str, objects: u32, overview: &StackOverview) -> String {
    let mut rows = vec![["CLUSTER", "STACK", "REVISION", "OBJECTS", "HEALTH"].map(str::to_owned)];
    rows.extend(overview.agents.iter().map(|agent| {
        let status = agent.status.as_ref();
        let revision = status.and_then(|it| it.applied_revision).map_or_else(|| "-".to_owned(), |it| it.to_string());
        let available = available(agent).map_or(ConditionStatus::Unknown, |it| it.status);
        let health = format!("{} (Available: {available:?})", capitalised(&agent.state().0.to_string()));
        [agent.agent_name.to_string(), stack.to_owned(), revision, objects.to_string(), health]
    }));
    align(&rows)
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Pads every column except the last to its widest cell.
fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn align_pads_columns_to_the_widest_cell() {
        let rows = [["A", "B", "C"], ["production", "x", "y"]].map(|row| row.map(str::to_owned));
        assert_eq!(align(&rows), "A           B  C\nproduction  x  y");
    }
}
