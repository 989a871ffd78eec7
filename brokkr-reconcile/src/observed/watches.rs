//! Seeing what others do to what is held: metadata-only watches, one per kind and scope (those of Jobs with their status).
//!
//! Only what our label is on is watched, and of each object only the identity and the fields that our manager owns are compared;
//! what differs is read by the next pass, which decides. A watch that ends goes on from where it was; only when the server no
//! longer keeps that point everything of the kind is looked at again.

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

/// The pause before a watch that ended is taken up again; doubled with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

type Place = (ApiKind, Option<String>);

/// What a watch tells.
enum Signal {
    Event(WatchEvent),
    /// What happened until now was not seen.
    Blind,
}

/// The watches of one agent. They run while somebody waits for [`Watches::next`].
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

    /// Names what is to be watched from now on, besides or instead of what was.
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

    /// Watches until some stacks are to be looked at.
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
            let stirred = slots.take_stirred();
            if !stirred.is_empty() {
                return stirred;
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
                    Signal::Blind => slots.lost_sight_of(&kind.group, &kind.kind),
                    Signal::Event(event) => note(&kind, &event, manager, slots, ends),
                }
            }
        }
    }
}

fn note(kind: &ApiKind, event: &WatchEvent, manager: &str, slots: &Slots, ends: &JobEnds) {
    let (body, is_gone) = match event {
        WatchEvent::Applied(body) => (body, meta::is_deleting(body)),
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
        // How it fares is in its status, which was not sent.
        Sight::Stirred
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
    /// From where to go on; absent before the first list, and when the server no longer keeps it.
    from: Option<String>,
    events: Option<BoxStream<'static, ClusterResult<WatchEvent>>>,
    failures: u32,
}

fn watch(cluster: Arc<dyn Cluster>, place: Place, agent: AgentId) -> BoxStream<'static, Signal> {
    let label_selector = format!("{AGENT_LABEL}={agent}");
    // How a Job ended is in its status, and its last event may be the only one that tells.
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
            self.from = Some(list.resource_version);
            return Ok(Some(Signal::Blind));
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
            WatchEvent::Applied(body) | WatchEvent::Deleted(body) => meta::resource_version(body).map(str::to_owned),
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
        tracing::debug!(kind = %self.place.0.kind, %error, "a watch ended; what it would tell is found at the next comparison");
        tokio::time::sleep(pause).await;
    }
}
