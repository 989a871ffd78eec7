//! Prints the feed of changes, one line per change.

use std::collections::HashMap;
use std::sync::Arc;

use brokkr_core::model::{AgentId, AssignmentState, Change, EventAction, EventOutcome, StackId, StackPhase};
use brokkr_core::store::{FeedPosition, Scope, Store, StoreResult};
use tokio_util::sync::CancellationToken;

/// Reads the feed from its beginning and prints the relevant changes until stopped.
pub(crate) async fn print(store: Arc<dyn Store>, stop: CancellationToken) -> StoreResult<()> {
    let mut hints = store.subscribe();
    let mut names = Names::default();
    let mut position = FeedPosition::START;
    loop {
        hints.mark_unchanged();
        let page = store.feed(&Scope::All, position, 100).await?;
        for entry in &page.entries {
            if let Some(line) = names.line(&entry.change) {
                println!("  {line}");
            }
        }
        let more = page.next != position;
        position = page.next;
        if !more {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                hint = hints.changed() => if hint.is_err() { return Ok(()) },
            }
        }
    }
}

#[derive(Default)]
struct Names {
    stacks: HashMap<StackId, String>,
    agents: HashMap<AgentId, String>,
}

impl Names {
    fn stack(&self, id: StackId) -> &str {
        self.stacks.get(&id).map_or("?", String::as_str)
    }

    fn agent(&self, id: AgentId) -> &str {
        self.agents.get(&id).map_or("?", String::as_str)
    }

    fn line(&mut self, change: &Change) -> Option<String> {
        match change {
            Change::Agent(it) => {
                let new = self.agents.insert(it.id, it.name.to_string()).is_none();
                new.then(|| format!("agent {} created", it.name))
            }
            Change::Stack(it) => {
                let new = self.stacks.insert(it.id, it.name.to_string()).is_none();
                Some(match (new, it.phase, it.deleted_at) {
                    (_, _, Some(_)) => format!("stack {} deleted", it.name),
                    (_, StackPhase::Deleting, None) => {
                        format!("stack {}: removal from every agent started", it.name)
                    }
                    (true, ..) => format!("stack {} created", it.name),
                    (false, ..) => format!("stack {} changed", it.name),
                })
            }
            Change::DeploymentObject(object) => Some(format!(
                "stack {}: revision {} published, {} objects",
                self.stack(object.stack_id),
                object.revision,
                object.object_count
            )),
            Change::Target(it) if it.deleted_at.is_none() => {
                Some(format!("stack {} targeted at agent {}", self.stack(it.stack_id), self.agent(it.agent_id)))
            }
            Change::Target(it) => Some(format!(
                "stack {} no longer targeted at agent {}",
                self.stack(it.stack_id),
                self.agent(it.agent_id)
            )),
            Change::Assignment(it) if it.state == AssignmentState::Listed => {
                Some(format!("stack {} assigned to agent {}", self.stack(it.stack_id), self.agent(it.agent_id)))
            }
            Change::AgentSilence(it) if it.is_silent() => Some(format!("agent {} is silent", self.agent(it.agent_id))),
            Change::AgentSilence(it) if it.deleted_at.is_none() => {
                Some(format!("agent {} is back", self.agent(it.agent_id)))
            }
            Change::Event(it) => {
                let what = match (it.action, it.outcome) {
                    (EventAction::Apply, EventOutcome::Success) => "applied",
                    (EventAction::Apply, EventOutcome::Failure) => "failed to apply",
                    (EventAction::Remove, EventOutcome::Success) => "removed",
                    (EventAction::Remove, EventOutcome::Failure) => "failed to remove",
                };
                let revision = it.revision.map(|it| format!(", revision {it}")).unwrap_or_default();
                let why =
                    if it.message.is_empty() { it.reason.clone() } else { format!("{}: {}", it.reason, it.message) };
                Some(format!(
                    "agent {} {what} stack {}{revision} ({why})",
                    self.agent(it.agent_id),
                    self.stack(it.stack_id)
                ))
            }
            Change::Generator(_)
            | Change::Key(_)
            | Change::AgentSession(_)
            | Change::AgentSilence(_)
            | Change::Environment(_)
            | Change::Grant(_)
            | Change::JoinToken(_)
            | Change::StackRelease(_)
            | Change::Pin(_)
            | Change::StackStatus(_)
            | Change::Assignment(_) => None,
        }
    }
}
