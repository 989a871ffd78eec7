//! Events that outlive the process until the broker has them.
//!
//! One file an event, named by its id: written whole or not at all, deleted when the broker has acknowledged it. An event that
//! is told twice is known by its id and counted once.

use std::path::{Path, PathBuf};

use brokkr_core::model::EventId;
use brokkr_core::protocol::EventReport;

/// Events kept while the broker is away. Beyond, the oldest go: the newest status says more than they do.
pub(super) const EVENTS: usize = 5_000;

const ENDING: &str = "event.json";

/// A folder for events that were not told yet.
#[derive(Debug)]
pub(super) struct Spool(PathBuf);

impl Spool {
    /// Uses a folder, and makes it if it is missing.
    pub(super) fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// What an earlier process left, the oldest first, at most as much as is kept in memory. What cannot be read is left
    /// where it is.
    pub(super) fn load(&self) -> Vec<EventReport> {
        let names = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()),
            Err(error) => {
                tracing::warn!(%error, folder = %self.0.display(), "the spool cannot be read");
                return Vec::new();
            }
        };
        // Ids are UUIDs of version 7: their order is that of time.
        let mut names: Vec<String> = names.filter(|name| name.ends_with(ENDING)).collect();
        names.sort_unstable();
        let surplus = names.len().saturating_sub(EVENTS);
        for name in names.drain(..surplus) {
            let _ = std::fs::remove_file(self.0.join(name));
        }
        let read = |name: &String| -> Option<EventReport> {
            let event = std::fs::read(self.0.join(name)).ok().and_then(|text| serde_json::from_slice(&text).ok());
            if event.is_none() {
                tracing::warn!(file = %name, "an event in the spool cannot be read");
            }
            event
        };
        names.iter().filter_map(read).collect()
    }

    /// Keeps an event. When that fails it is kept in memory alone.
    pub(super) fn keep(&self, event: &EventReport) {
        let (unfinished, place) = (self.0.join(format!("{}.unfinished", event.id)), self.place(event.id));
        let kept = serde_json::to_vec(event)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(&unfinished, text))
            .and_then(|()| std::fs::rename(&unfinished, &place));
        if let Err(error) = kept {
            tracing::warn!(%error, folder = %self.0.display(), "an event cannot be kept over a restart");
            let _ = std::fs::remove_file(unfinished);
        }
    }

    /// Forgets an event that the broker has.
    pub(super) fn forget(&self, id: EventId) {
        match std::fs::remove_file(self.place(id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "an event that was told stays in the spool");
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
    fn untold_events_survive_a_restart() {
        let folder = std::env::temp_dir().join(format!("brokkr-spool-{}", EventId::generate()));
        let events: Vec<EventReport> = (0..3).map(|_| event()).collect();
        let outbox = Outbox::new(Some(Spool::open(&folder).expect("a folder")));
        events.iter().cloned().for_each(|event| outbox.event(event));
        let told = outbox.take().expect("a batch").events;
        assert_eq!(told, events);
        outbox.forget(&told[..1]);
        drop(outbox);
        std::fs::write(folder.join("broken.event.json"), "{").expect("a file");
        std::fs::write(folder.join("x.unfinished"), "{").expect("a file");
        let again = Outbox::new(Some(Spool::open(&folder).expect("a folder")));
        assert_eq!(again.take().expect("a batch").events, events[1..]);
        std::fs::remove_dir_all(&folder).expect("the folder goes");
    }
}
