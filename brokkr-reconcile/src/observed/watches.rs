//! Watches for changes of held objects by other clients. Metadata only, one watch per kind and scope; watches of Jobs
//! include the status.
//!
//! Watches select the agent's label, and compare only the identity of each object and the fields that our manager owns.
//! The next pass reads the objects that differ, and decides. A watch that ends resumes from its last resource version. If
//! the server no longer has that version, the next pass reads all objects of the kind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use brokkr_core::model::{AgentId, ObjectRef, StackId};
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::cluster::{ApiKind, Cluster, ClusterError, ClusterResult, ListOptions, WatchEvent, meta};
use crate::health::has_health;
use crate::observed::job_ends::{JobEnds, is_job};
use crate::ownership::field_hashes::FieldHashes;
use crate::ownership::inventory::cache::{Sight, Slots};
use crate::ownership::labels::{AGENT_LABEL, STACK_LABEL};

/// Pause before an ended watch resumes. Doubles with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

type Place = (ApiKind, Option<String>);

/// A signal of a watch.
enum Signal {
    Event(WatchEvent),
    /// The watch missed events until now.
    Missed,
}

/// The watches of one agent. They run only while a caller polls [`Watches::next`].
pub(crate) struct Watches {
    wanted: Mutex<BTreeSet<Place>>,
    running: tokio::sync::Mutex<BTreeMap<Place, BoxStream<'static, Signal>>>,
}

impl std::fmt::Debug for Watches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watches").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl Watches {
    pub(crate) fn new() -> Self {
        Self { wanted: Mutex::default(), running: tokio::sync::Mutex::default() }
    }

    /// Sets the kinds and scopes to watch: in addition to the current ones if `besides` is set, instead of them
    /// otherwise.
    pub(crate) fn want(&self, mut places: BTreeSet<Place>, besides: bool, slots: &Slots) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if besides {
            places.extend(wanted.iter().cloned());
        }
        if *wanted != places {
            *wanted = places;
            slots.wake.notify_one();
        }
    }

    /// Watches until some stacks must be reconciled, and returns them.
    pub(crate) async fn next(
        &self,
        cluster: &Arc<dyn Cluster>,
        agent: AgentId,
        manager: &str,
        slots: &Slots,
        ends: &JobEnds,
    ) -> BTreeSet<StackId> {
        let mut running = self.running.lock().await;
        loop {
            let changed = slots.take_changed();
            if !changed.is_empty() {
                return changed;
            }
            {
                let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
                running.retain(|place, _| wanted.contains(place));
                for place in wanted.iter().filter(|place| !running.contains_key(*place)).cloned().collect::<Vec<_>>() {
                    running.insert(place.clone(), watch(cluster.clone(), place, agent));
                }
            }
            let signal = std::future::poll_fn(|context| {
                for ((kind, _), signals) in running.iter_mut() {
                    if let Poll::Ready(Some(signal)) = signals.poll_next_unpin(context) {
                        return Poll::Ready((kind.clone(), signal));
                    }
                }
                Poll::Pending
            });
            tokio::select! {
                () = slots.wake.notified() => {}
                (kind, signal) = signal => match signal {
                    Signal::Missed => slots.mark_kind_changed(&kind.group, &kind.kind),
                    Signal::Event(event) => note(&kind, &event, manager, slots, ends),
                }
            }
        }
    }
}

fn note(kind: &ApiKind, event: &WatchEvent, manager: &str, slots: &Slots, ends: &JobEnds) {
    let (body, is_gone) = match event {
        WatchEvent::Changed(body) => (body, meta::is_deleting(body)),
        WatchEvent::Deleted(body) => (body, true),
        WatchEvent::Bookmark(_) => return,
    };
    let stack = meta::label(body, STACK_LABEL).and_then(|id| id.parse().ok());
    let (Some(stack), Some(name), Some(uid)) = (stack, meta::name(body), meta::uid(body)) else { return };
    let object = ObjectRef {
        group: kind.group.clone(),
        kind: kind.kind.clone(),
        namespace: meta::namespace(body).map(str::to_owned),
        name: name.to_owned(),
    };
    if is_job(&object) {
        ends.note(body, matches!(event, WatchEvent::Deleted(_)), Instant::now());
    }
    let sight = if is_gone {
        Sight::Gone
    } else if has_health(&kind.group, &kind.kind) {
        // Its health depends on its status, which a metadata-only watch does not receive.
        Sight::Changed
    } else {
        let fields = FieldHashes::of(&meta::applied_fields(body, manager));
        Sight::There { uid: uid.to_owned(), fields }
    };
    slots.saw(stack, object, sight);
}

struct Watching {
    cluster: Arc<dyn Cluster>,
    place: Place,
    options: ListOptions,
    /// The resource version to resume from; absent before the first list, and after the server dropped the version.
    from: Option<String>,
    events: Option<BoxStream<'static, ClusterResult<WatchEvent>>>,
    failures: u32,
}

fn watch(cluster: Arc<dyn Cluster>, place: Place, agent: AgentId) -> BoxStream<'static, Signal> {
    let label_selector = format!("{AGENT_LABEL}={agent}");
    // The result of a Job is in its status, and its last event may be the only one that contains it.
    let metadata_only = (place.0.group.as_str(), place.0.kind.as_str()) != ("batch", "Job");
    let options = ListOptions { label_selector, metadata_only, limit: None };
    let watching = Watching { cluster, place, options, from: None, events: None, failures: 0 };
    stream::unfold(watching, |mut watching| async move {
        loop {
            match watching.step().await {
                Ok(Some(signal)) => return Some((signal, watching)),
                Ok(None) => {}
                Err(error) => watching.failed(&error).await,
            }
        }
    })
    .boxed()
}

impl Watching {
    async fn step(&mut self) -> ClusterResult<Option<Signal>> {
        let (kind, namespace) = (&self.place.0, self.place.1.as_deref());
        let Some(from) = &self.from else {
            let options = ListOptions { limit: Some(1), ..self.options.clone() };
            let list = self.cluster.list(kind, namespace, &options).await?;
            self.from = Some(list.meta.resource_version);
            return Ok(Some(Signal::Missed));
        };
        let events = match &mut self.events {
            Some(events) => events,
            None => self.events.insert(self.cluster.watch(kind, namespace, &self.options, from).await?),
        };
        let Some(event) = events.next().await else {
            // The server ends each watch after some minutes.
            self.events = None;
            tokio::time::sleep(FIRST_PAUSE).await;
            return Ok(None);
        };
        let event = event?;
        self.failures = 0;
        let version = match &event {
            WatchEvent::Changed(body) | WatchEvent::Deleted(body) => meta::resource_version(body).map(str::to_owned),
            WatchEvent::Bookmark(version) => Some(version.clone()),
        };
        self.from = version.or_else(|| self.from.take());
        Ok(Some(Signal::Event(event)))
    }

    async fn failed(&mut self, error: &ClusterError) {
        self.events = None;
        if matches!(error, ClusterError::Expired(_)) {
            self.from = None;
        }
        let factor = 2_u32.saturating_pow(self.failures.min(16));
        self.failures += 1;
        let pause = match error {
            ClusterError::Forbidden(_) | ClusterError::NotFound(_) => LONGEST_PAUSE,
            _ => FIRST_PAUSE.saturating_mul(factor).max(error.retry_after().unwrap_or_default()).min(LONGEST_PAUSE),
        };
        tracing::debug!(kind = %self.place.0.kind, %error, "a watch ended; the next comparison finds the changes that it misses");
        tokio::time::sleep(pause).await;
    }
}
