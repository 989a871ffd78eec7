//! Configures and starts a broker.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_core::clock::{Clock, IntoClock, SystemClock};
use brokkr_core::entropy::{Entropy, IntoEntropy, SystemEntropy};
use brokkr_core::error::Invalid;
use brokkr_core::model::{Change, GeneratorId, GeneratorPrincipal, Name, Quota, Version};
use brokkr_core::store::{IntoStore, Retention, Scope, Store, StoreError, StoreExt as _};
use brokkr_core::targeting::{IntoPolicy, TargetingPolicy, any_of, default_policy};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::background::admin_keys::admin_keys;
use crate::background::complete_removals::complete_removals;
use crate::background::expire_pins::expire_pins;
use crate::background::flush::flush;
use crate::background::follow::{follow, load};
use crate::background::purge::purge;
use crate::broker::{Broker, Parts, StopOnDrop};
use crate::error::BrokerError;
use crate::generate::{DynGenerator, Generator, Registered};
use crate::intake::open_polls::OpenPolls;
use crate::intake::parsing::Parsing;
use crate::intake::quotas::Quotas;
use crate::metrics::PollCounters;
use crate::recent::activity::ActivityLog;
use crate::recent::attempts::AttemptLog;
use crate::recent::contents::RecentContents;
use crate::view::FleetView;

/// The error of [`BrokerBuilder::start`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The broker cannot read the store.
    #[error("cannot read the store: {0}")]
    Store(#[from] StoreError),
    /// The broker cannot create the system generator.
    #[error("cannot create the system generator: {0}")]
    Prepare(#[from] BrokerError),
    /// A generator's name or schema is invalid, or two generators have the same name.
    #[error("cannot register the generator \"{name}\": {problem}")]
    Generator {
        /// The generator's name.
        name: String,
        /// The reason.
        problem: String,
    },
}

/// Configures a [`Broker`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct BrokerBuilder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    policy: Arc<dyn TargetingPolicy>,
    also: Vec<Arc<dyn TargetingPolicy>>,
    generators: Vec<Unchecked>,
    retention: Retention,
    key_lifetime: Option<Duration>,
    quotas: Quotas,
}

/// A generator whose name and schema [`BrokerBuilder::start`] has not yet checked.
#[derive(Debug)]
struct Unchecked {
    of: TypeId,
    generator: Box<dyn DynGenerator>,
}

impl Broker {
    /// Configures a broker on `store`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use brokkr_control::Broker;
    /// use brokkr_core::store::MemoryStore;
    ///
    /// let broker = Broker::builder(MemoryStore::new()).start().await?;
    /// broker.ready().await?;
    /// broker.shutdown().await;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn builder(store: impl IntoStore) -> BrokerBuilder {
        BrokerBuilder::new(store.into_store())
    }
}

impl BrokerBuilder {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            policy: default_policy().into_policy(),
            also: Vec::new(),
            generators: Vec::new(),
            retention: Retention::default(),
            key_lifetime: None,
            quotas: Quotas::default(),
        }
    }

    /// Sets the clock for timestamps. Default: [`SystemClock`]. Tests use a clock that they control.
    pub fn clock(mut self, clock: impl IntoClock) -> Self {
        self.clock = clock.into_clock();
        self
    }

    /// Sets the source of randomness for ids and key secrets. Default: [`SystemEntropy`]. Tests use a seeded source.
    pub fn entropy(mut self, entropy: impl IntoEntropy) -> Self {
        self.entropy = entropy.into_entropy();
        self
    }

    /// Adds a targeting policy: an agent serves a stack if any policy matches. Can be called several times. Default: only
    /// [`default_policy`], which covers direct targets and the stack's targeting rule and stays in effect.
    ///
    /// The policy can only **add** agents. In particular, a stack without a targeting rule still matches every agent with
    /// which it shares any label or annotation, whatever this policy decides. To let the policy restrict a stack, give the
    /// stack the rule [`TargetingRule::none`](brokkr_core::model::TargetingRule::none); to let it restrict all stacks, use
    /// [`replace_policy`](Self::replace_policy).
    ///
    /// ```
    /// # use brokkr_control::{Broker, BrokerBuilder};
    /// # use brokkr_core::store::MemoryStore;
    /// use brokkr_core::model::{StackSpec, TargetingRule};
    /// use brokkr_core::targeting::TargetingPolicy;
    ///
    /// # fn compose(large_clusters: impl TargetingPolicy) -> (BrokerBuilder, StackSpec) {
    /// let broker = Broker::builder(MemoryStore::new()).also_match(large_clusters);
    /// // Without the rule, agents with region=eu would also match if they are small.
    /// let spec = StackSpec::named("shop").label("region", "eu").targeting(TargetingRule::none());
    /// # (broker, spec)
    /// # }
    /// ```
    pub fn also_match(mut self, policy: impl IntoPolicy) -> Self {
        self.also.push(policy.into_policy());
        self
    }

    /// Replaces [`default_policy`]. Policies of [`also_match`](Self::also_match) stay in effect, in whatever order the two
    /// are called.
    ///
    /// The default policy implements direct targets and the stack's targeting rule. If the replacement ignores
    /// [`Candidate::direct`](brokkr_core::targeting::Candidate), [`target_set`](Broker::target_set) succeeds but has no
    /// effect. `DirectTarget.or(policy)` keeps direct targets, and `DirectTarget.or(ByRule.and(policy))` also keeps
    /// the stacks' rules, both from [`targeting`](brokkr_core::targeting).
    pub fn replace_policy(mut self, policy: impl IntoPolicy) -> Self {
        self.policy = policy.into_policy();
        self
    }

    /// Sets how long the broker keeps events, audit records and changes. Default: without limit.
    pub fn retention(mut self, keep: Retention) -> Self {
        self.retention = keep;
        self
    }

    /// Sets the longest lifetime of new keys of admins and generators. Keys created without an expiry time get it. Default:
    /// without limit. Existing keys, agents' keys, and the first and recovered admin keys are not affected.
    pub fn key_lifetime(mut self, longest: Duration) -> Self {
        self.key_lifetime = Some(longest);
        self
    }

    /// Sets the quotas of every generator except the system generator, which has none. Default: [`Quotas::default`]. A request beyond
    /// a quota fails with [`BrokerError::QuotaExceeded`].
    pub fn quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas;
        self
    }

    /// Registers a generator under its [`name`](Generator::name). [`start`](Self::start) fails if two generators have the
    /// same name.
    pub fn generator<G: Generator>(mut self, generator: G) -> Self {
        self.generators.push(Unchecked { of: TypeId::of::<G>(), generator: Box::new(generator) });
        self
    }

    /// Loads the fleet view from the store, creates the system generator in a new store, and starts the background tasks on
    /// the current tokio runtime.
    ///
    /// Install a metrics recorder before the call: the broker keeps the handles of the recorder that is installed now.
    ///
    /// # Errors
    ///
    /// [`StartError::Store`] if the store cannot be read, [`StartError::Prepare`] if it cannot be written, and
    /// [`StartError::Generator`] if a registered generator is invalid.
    pub async fn start(self) -> Result<Broker, StartError> {
        let mut generators = HashMap::new();
        for Unchecked { of, generator } in self.generators {
            let name = generator.name().to_owned();
            let refuse =
                |problem: &dyn fmt::Display| StartError::Generator { name: name.clone(), problem: problem.to_string() };
            name.parse::<Name>().map_err(|error: Invalid| refuse(&error))?;
            let registered = Registered::new(of, generator).map_err(|error| refuse(&error))?;
            if generators.insert(name.clone(), registered).is_some() {
                return Err(refuse(&"another generator has the same name"));
            }
        }
        let policy = if self.also.is_empty() {
            self.policy
        } else {
            any_of([self.policy].into_iter().chain(self.also)).into_policy()
        };
        crate::metrics::describe();
        let began = Instant::now();
        let stopping = CancellationToken::new();
        let parts = Arc::new(Parts {
            view: FleetView::new(policy, began),
            secret: self.store.secret().await?,
            store: self.store,
            attempts: AttemptLog::new(self.clock.clone(), self.entropy.clone()),
            clock: self.clock,
            entropy: self.entropy,
            generators,
            key_lifetime: self.key_lifetime,
            open_polls: OpenPolls::new(self.quotas.maximum(Quota::OpenPolls)),
            quotas: self.quotas,
            activity: ActivityLog::default(),
            contents: RecentContents::default(),
            polls: PollCounters::default(),
            parsing: Parsing::default(),
            joins: tokio::sync::Mutex::default(),
            draining: CancellationToken::new(),
            stopping: stopping.clone(),
            tasks: TaskTracker::new(),
        });
        load(&parts, began).await?;
        let broker = Broker { parts: parts.clone(), _stop: Arc::new(StopOnDrop(stopping.clone())) };
        // The task that completes removals holds the parts without the guard, so that dropping the last public clone stops
        // it.
        let inner = Broker { parts: parts.clone(), _stop: Arc::new(StopOnDrop(CancellationToken::new())) };
        parts.tasks.spawn(follow(parts.clone()));
        parts.tasks.spawn(flush(parts.clone()));
        parts.tasks.spawn(admin_keys(inner.clone()));
        parts.tasks.spawn(complete_removals(inner.clone()));
        parts.tasks.spawn(expire_pins(inner));
        parts.tasks.spawn(purge(parts.clone(), self.retention));
        broker.ensure_built_in_grants().await?;
        broker.ensure_system_generator().await?;
        Ok(broker)
    }
}

impl Broker {
    /// Creates the system generator in a new store. Succeeds if another replica creates it first.
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
