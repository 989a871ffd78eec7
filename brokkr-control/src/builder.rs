//! Putting a broker together.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use brokkr_core::clock::{Clock, SystemClock};
use brokkr_core::error::Invalid;
use brokkr_core::model::{Change, GeneratorId, GeneratorPrincipal, Name, Version};
use brokkr_core::store::{Retention, Scope, Store, StoreError, StoreExt as _};
use brokkr_core::targeting::{TargetingPolicy, default_policy};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::{Broker, Parts, StopOnDrop};
use crate::error::BrokerError;
use crate::follower;
use crate::generate::{DynGenerator, Registered};
use crate::metrics::PollCounters;
use crate::recent::activity::ActivityLog;
use crate::recent::attempts::AttemptLog;
use crate::recent::contents::RecentContents;
use crate::view::FleetView;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store could not be read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
    /// What the broker needs to exist could not be created.
    #[error("cannot prepare the store: {0}")]
    Prepare(#[from] BrokerError),
    /// A generator's name or schema is not usable, or two have one name.
    #[error("the generator \"{name}\" cannot be registered: {problem}")]
    Generator {
        /// Its name.
        name: String,
        /// Why.
        problem: String,
    },
}

/// Puts a [`Broker`] together from its parts.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct BrokerBuilder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    policy: Arc<dyn TargetingPolicy>,
    generators: Vec<Box<dyn DynGenerator>>,
    retention: Retention,
}

impl Broker {
    /// A broker on this store, to be composed further.
    pub fn builder(store: Arc<dyn Store>) -> BrokerBuilder {
        BrokerBuilder::new(store)
    }
}

impl BrokerBuilder {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            policy: default_policy(),
            generators: Vec::new(),
            retention: Retention::default(),
        }
    }

    /// Where the time comes from; the system's clock unless told otherwise.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Who serves what; [`default_policy`] unless told otherwise.
    pub fn policy(mut self, policy: Arc<dyn TargetingPolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// How long events, audit and changes are kept; for ever unless told otherwise.
    pub fn retention(mut self, keep: Retention) -> Self {
        self.retention = keep;
        self
    }

    /// Registers a generator under its name.
    pub fn generator(mut self, generator: impl DynGenerator) -> Self {
        self.generators.push(Box::new(generator));
        self
    }

    /// Reads the store, prepares it if it is new, and starts the background work on the present tokio runtime.
    ///
    /// A recorder of metrics is to be installed before: what is counted goes to the one that is there now.
    pub async fn start(self) -> Result<Broker, StartError> {
        let mut generators = HashMap::new();
        for generator in self.generators {
            let name = generator.name().to_owned();
            let refuse =
                |problem: &dyn fmt::Display| StartError::Generator { name: name.clone(), problem: problem.to_string() };
            name.parse::<Name>().map_err(|error: Invalid| refuse(&error))?;
            let registered = Registered::new(generator).map_err(|error| refuse(&error))?;
            if generators.insert(name.clone(), registered).is_some() {
                return Err(refuse(&"another one has this name"));
            }
        }
        crate::metrics::describe();
        let began = Instant::now();
        let stopping = CancellationToken::new();
        let parts = Arc::new(Parts {
            view: FleetView::new(self.policy, began),
            secret: self.store.secret().await?,
            store: self.store,
            clock: self.clock,
            generators,
            attempts: AttemptLog::default(),
            activity: ActivityLog::default(),
            contents: RecentContents::default(),
            polls: PollCounters::default(),
            draining: CancellationToken::new(),
            stopping: stopping.clone(),
            tasks: TaskTracker::new(),
        });
        follower::load(&parts, began).await?;
        let broker = Broker { parts: parts.clone(), _stop: Arc::new(StopOnDrop(stopping.clone())) };
        // The task that completes removals must not keep the broker alive that it is to end with.
        let inner = Broker { parts: parts.clone(), _stop: Arc::new(StopOnDrop(CancellationToken::new())) };
        parts.tasks.spawn(follower::follow(parts.clone()));
        parts.tasks.spawn(follower::flush(parts.clone()));
        parts.tasks.spawn(follower::complete_removals(inner));
        parts.tasks.spawn(follower::purge(parts.clone(), self.retention));
        broker.ensure_system_generator().await?;
        Ok(broker)
    }
}

impl Broker {
    /// Creates the system generator in a new store. Another replica may be faster; that is as good.
    async fn ensure_system_generator(&self) -> Result<(), StartError> {
        let actor = self.system_actor();
        let created = self
            .decide(&actor, "generator.create", None, || async {
                match self.parts.store.get::<GeneratorPrincipal>(&Scope::All, GeneratorId::SYSTEM).await {
                    Ok(_) => return Ok(crate::commit::decide::Decision::nothing(())),
                    Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
                let now = self.now();
                let system = GeneratorPrincipal {
                    id: GeneratorId::SYSTEM,
                    name: "system".parse()?,
                    description: "Owns the stacks that admins create without naming a generator".to_owned(),
                    version: Version::FIRST,
                    created_at: now,
                    updated_at: now,
                    deleted_at: None,
                };
                Ok(crate::commit::decide::Decision::commit((), vec![Change::Generator(system)]))
            })
            .await;
        Ok(created?)
    }
}
