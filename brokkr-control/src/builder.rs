//! Configures and starts a broker.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_core::clock::{Clock, IntoClock, SystemClock};
use brokkr_core::entropy::{Entropy, IntoEntropy, SystemEntropy};
use brokkr_core::error::Invalid;
use brokkr_core::model::{Change, GeneratorId, GeneratorPrincipal, Name, Quota, Version};
use brokkr_core::store::{IntoStore, Retention, Scope, Store, StoreError, StoreExt as _};
use brokkr_core::targeting::{IntoPolicy, TargetingPolicy, any_of, default_policy};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::background::admin_keys::admin_keys;
use crate::background::flush::flush;
use crate::background::follow::{follow, load};
use crate::broker::{Broker, Parts, StopOnDrop};
use crate::controller::{Controller, Principal};
use crate::controllers::key_expiry::KeyExpiry;
use crate::controllers::losses::Losses;
use crate::controllers::pin_expiry::PinExpiry;
use crate::controllers::removals::Removals;
use crate::controllers::retention::Retention as RetentionController;
use crate::controllers::silence::Silence;
use crate::controllers::stack_expiry::StackExpiry;
use crate::error::BrokerError;
use crate::generate::{DynGenerator, Generator, Registered};
use crate::intake::open_polls::OpenPolls;
use crate::intake::parsing::Parsing;
use crate::intake::quotas::Quotas;
use crate::metrics::PollCounters;
use crate::recent::activity::ActivityLog;
use crate::recent::attempts::AttemptLog;
use crate::recent::contents::RecentContents;
use crate::recent::controllers::ControllerBoard;
use crate::store_clock::StoreClock;
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
    /// A controller's name is invalid or taken, or its principal cannot be created.
    #[error("cannot start the controller \"{name}\": {problem}")]
    Controller {
        /// The controller's name.
        name: String,
        /// The reason.
        problem: String,
    },
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
    clock: Option<Arc<dyn Clock>>,
    entropy: Arc<dyn Entropy>,
    policy: Arc<dyn TargetingPolicy>,
    also: Vec<Arc<dyn TargetingPolicy>>,
    generators: Vec<Unchecked>,
    retention: Retention,
    key_lifetime: Option<Duration>,
    quotas: Quotas,
    controllers: Vec<Unstarted>,
    controller_lease: Duration,
    silent_after: Duration,
}

/// A controller that runs once the broker starts.
struct Unstarted {
    name: String,
    /// The name of the generator under whose rights it acts; `None`: the broker itself.
    principal: Option<String>,
    run: Box<dyn FnOnce(Broker, Principal, Duration) -> BoxFuture<'static, ()> + Send>,
}

impl Unstarted {
    fn new(principal: Option<&str>, controller: impl Controller) -> Self {
        Self {
            name: controller.name().to_owned(),
            principal: principal.map(str::to_owned),
            run: Box::new(|broker, principal, lease| {
                Box::pin(crate::controller::run(broker, Arc::new(controller), principal, lease))
            }),
        }
    }
}

impl fmt::Debug for Unstarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstarted")
            .field("name", &self.name)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
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
            clock: None,
            entropy: Arc::new(SystemEntropy),
            policy: default_policy().into_policy(),
            also: Vec::new(),
            generators: Vec::new(),
            retention: Retention::default(),
            key_lifetime: None,
            quotas: Quotas::default(),
            controllers: Vec::new(),
            controller_lease: Duration::from_secs(15),
            silent_after: Duration::from_secs(180),
        }
    }

    /// Sets the clock for timestamps and deadlines. Default: the store's time, which all brokers on one store share; it never goes
    /// back. Tests use a clock that they control.
    pub fn clock(mut self, clock: impl IntoClock) -> Self {
        self.clock = Some(clock.into_clock());
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

    /// Adds a [`Controller`], which acts under the rights of the generator `principal`: it sees and changes only what that
    /// generator may. A generator with this name is created if there is none. [`start`](Self::start) fails if two controllers
    /// have the same name; the broker's own are `key-expiry`, `losses`, `pin-expiry`, `removals`, `retention`, `silence` and `stack-expiry`.
    pub fn controller(mut self, principal: &str, controller: impl Controller) -> Self {
        self.controllers.push(Unstarted::new(Some(principal), controller));
        self
    }

    /// Sets how long a broker holds the lease of a controller, which it renews three times as often. Default: 15 s. After a
    /// broker was lost, its controllers stand still for up to this time and a third. At least 300 ms.
    pub fn controller_lease(mut self, lease: Duration) -> Self {
        self.controller_lease = lease.max(Duration::from_millis(300));
        self
    }

    /// Sets the time without a poll or report after which an agent is silent. Default: 3 min, three times the longest poll.
    pub fn silent_after(mut self, time: Duration) -> Self {
        self.silent_after = time;
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
        let store_clock = self.clock.is_none().then(|| Arc::new(StoreClock::default()));
        let clock = store_clock.clone().map(|it| it as Arc<dyn Clock>).or(self.clock);
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock));
        let parts = Arc::new(Parts {
            view: FleetView::new(policy, began),
            secret: self.store.secret().await?,
            store: self.store,
            attempts: AttemptLog::new(clock.clone(), self.entropy.clone()),
            clock,
            store_clock,
            entropy: self.entropy,
            generators,
            key_lifetime: self.key_lifetime,
            open_polls: OpenPolls::new(self.quotas.maximum(Quota::OpenPolls)),
            quotas: self.quotas,
            activity: ActivityLog::default(),
            contents: RecentContents::default(),
            controllers: ControllerBoard::default(),
            polls: PollCounters::default(),
            parsing: Parsing::default(),
            joins: tokio::sync::Mutex::default(),
            draining: CancellationToken::new(),
            stopping: stopping.clone(),
            tasks: TaskTracker::new(),
        });
        load(&parts, began).await?;
        let broker = Broker { parts: parts.clone(), _stop: Arc::new(StopOnDrop(stopping.clone())) };
        // Controllers hold the parts without the guard, so that dropping the last public clone stops them.
        let inner = Broker { parts: parts.clone(), _stop: Arc::new(StopOnDrop(CancellationToken::new())) };
        parts.tasks.spawn(follow(parts.clone()));
        parts.tasks.spawn(flush(parts.clone()));
        parts.tasks.spawn(admin_keys(inner.clone()));
        broker.ensure_built_in_grants().await?;
        broker.ensure_system_generator().await?;
        let own = [
            Unstarted::new(None, KeyExpiry),
            Unstarted::new(None, Losses),
            Unstarted::new(None, PinExpiry),
            Unstarted::new(None, Removals),
            Unstarted::new(None, RetentionController(self.retention)),
            Unstarted::new(None, Silence { after: self.silent_after }),
            Unstarted::new(None, StackExpiry),
        ];
        start_controllers(&inner, own.into_iter().chain(self.controllers), self.controller_lease).await?;
        Ok(broker)
    }
}

/// Starts the controllers, after creating the generators under whose rights they act.
async fn start_controllers(
    broker: &Broker,
    controllers: impl Iterator<Item = Unstarted>,
    lease: Duration,
) -> Result<(), StartError> {
    let (mut names, mut ready) = (BTreeSet::new(), Vec::new());
    for Unstarted { name, principal, run } in controllers {
        let refuse =
            |problem: &dyn fmt::Display| StartError::Controller { name: name.clone(), problem: problem.to_string() };
        name.parse::<Name>().map_err(|error: Invalid| refuse(&error))?;
        if !names.insert(name.clone()) {
            return Err(refuse(&"another controller has the same name"));
        }
        let principal = match principal {
            None => Principal::System,
            Some(generator) => {
                let description = format!("acts for the controller {name}");
                let ensured = broker.ensure_generator(&broker.system_actor(), &generator, &description).await;
                Principal::Generator(ensured.map_err(|error| refuse(&error))?.id)
            }
        };
        broker.parts.controllers.update(&name, |_| {});
        ready.push((run, principal));
    }
    for (run, principal) in ready {
        broker.parts.tasks.spawn(run(broker.clone(), principal, lease));
    }
    Ok(())
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
                    environments: None,
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
