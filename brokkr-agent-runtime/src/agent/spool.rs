//! The spool: events that survive restarts until the broker acknowledges them.
//!
//! Each event is a file, named by the event's ID and written atomically. The spool deletes it after the acknowledgement.
//! The broker recognizes a repeated event by its ID and counts it once.

use std::path::{Path, PathBuf};

use brokkr_core::model::EventId;
use brokkr_core::protocol::EventReport;

/// Maximum number of events. Beyond it the oldest are dropped: the newest status is more useful.
pub(super) const EVENTS: usize = 5_000;

const ENDING: &str = "event.json";
const UNFINISHED: &str = "unfinished";

/// A folder of unreported events.
#[derive(Debug)]
pub(super) struct Spool(PathBuf);

impl Spool {
    /// Opens a folder, and creates it if it does not exist.
    pub(super) fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// Loads the events of an earlier process, oldest first. Deletes the oldest beyond the maximum, and files that a process
    /// was writing when it ended. Leaves unreadable events in place.
    pub(super) fn load(&self) -> Vec<EventReport> {
        let names = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()),
            Err(error) => {
                tracing::warn!(%error, folder = %self.0.display(), "cannot read the spool");
                return Vec::new();
            }
        };
        // IDs are UUIDs of version 7, whose order is chronological.
        let (mut names, others): (Vec<String>, Vec<String>) = names.partition(|name| name.ends_with(ENDING));
        names.sort_unstable();
        let surplus = names.len().saturating_sub(EVENTS);
        for name in names.drain(..surplus).chain(others.into_iter().filter(|name| name.ends_with(UNFINISHED))) {
            let _ = std::fs::remove_file(self.0.join(name));
        }
        let read = |name: &String| -> Option<EventReport> {
            let event = std::fs::read(self.0.join(name)).ok().and_then(|text| serde_json::from_slice(&text).ok());
            if event.is_none() {
                tracing::warn!(file = %name, "skipped an unreadable event in the spool");
            }
            event
        };
        names.iter().filter_map(read).collect()
    }

    /// Stores an event. If that fails, the event stays only in memory.
    pub(super) fn keep(&self, event: &EventReport) {
        let (unfinished, place) = (self.0.join(format!("{}.{UNFINISHED}", event.id)), self.place(event.id));
        let kept = serde_json::to_vec(event)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(&unfinished, text))
            .and_then(|()| std::fs::rename(&unfinished, &place));
        if let Err(error) = kept {
            tracing::warn!(%error, folder = %self.0.display(), "cannot store an event in the spool; a restart loses it");
            let _ = std::fs::remove_file(unfinished);
        }
    }

    /// Deletes an event that the broker acknowledged.
    pub(super) fn forget(&self, id: EventId) {
        match std::fs::remove_file(self.place(id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "cannot delete a reported event from the spool; the next start reports it again");
            }
            _ => {}
        }
    }

    fn place(&self, id: EventId) -> PathBuf {
        self.0.join(format!("{id}.{ENDING}"))
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};
    use brokkr_core::model::{EventAction, EventOutcome, StackId};

    use super::super::outbox::Outbox;
    use super::*;

    fn event() -> EventReport {
        let now = SystemClock.now();
        EventReport {
            id: EventId::generate(),
            stack_id: StackId::generate(),
            object_id: None,
            revision: None,
            action: EventAction::Apply,
            outcome: EventOutcome::Success,
            reason: "Applied".to_owned(),
            message: String::new(),
            objects: Vec::new(),
            retained: Vec::new(),
            started_at: now,
            finished_at: now,
        }
    }

    #[test]
    fn unreported_events_survive_a_restart() {
        let folder = std::env::temp_dir().join(format!("brokkr-spool-{}", EventId::generate()));
        let events: Vec<EventReport> = (0..3).map(|_| event()).collect();
        let outbox = Outbox::new(Some(Spool::open(&folder).expect("a folder")));
        events.iter().cloned().for_each(|event| outbox.event(event));
        let reported = outbox.take().expect("a batch").events;
        assert_eq!(reported, events);
        outbox.forget(&reported[..1]);
        drop(outbox);
        std::fs::write(folder.join("broken.event.json"), "{").expect("a file");
        std::fs::write(folder.join("x.unfinished"), "{").expect("a file");
        let again = Outbox::new(Some(Spool::open(&folder).expect("a folder")));
        assert_eq!(again.take().expect("a batch").events, events[1..]);
        assert!(folder.join("broken.event.json").exists() && !folder.join("x.unfinished").exists());
        std::fs::remove_dir_all(&folder).expect("the folder can be deleted");
    }
}
