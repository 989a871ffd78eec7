//! The error type of the broker's operations.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::QuotaExceeded;
use brokkr_core::store::{StoreError, UniqueKey};

/// The result of the broker's operations.
pub type BrokerResult<T> = Result<T, BrokerError>;

/// The reason why an operation failed. Nothing has changed then.
///
/// Each variant has a stable [`slug`](Self::slug), which the HTTP layer maps to one problem type. The source of `Internal`
/// is logged and never shown to callers.
///
/// ```
/// use brokkr_control::BrokerError;
///
/// assert_eq!(BrokerError::Stale.slug(), "view-stale");
/// assert!(BrokerError::Stale.is_retryable() && !BrokerError::Forbidden.is_retryable());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The entity does not exist, or the actor has no access to it.
    #[error("not found")]
    NotFound,
    /// The caller presented no valid key.
    #[error("not authenticated")]
    Unauthenticated,
    /// The actor's key does not permit the operation.
    #[error("forbidden")]
    Forbidden,
    /// The agent is retired.
    #[error("the agent is retired")]
    AgentRetired,
    /// The input is invalid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Another entity has the same unique value.
    #[error("already exists: {0}")]
    AlreadyExists(UniqueKey),
    /// The stack is being deleted.
    #[error("the stack is being deleted")]
    StackDeleting,
    /// The entity's version differs from the expected one.
    #[error("the entity's version differs from the expected one")]
    PreconditionFailed,
    /// The changes after this feed position are no longer retained.
    #[error("the changes after this position are no longer retained")]
    PositionExpired,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// The operation lost every race against concurrent commits.
    #[error("too many concurrent changes")]
    Contention,
    /// Other entities still refer to the entity.
    #[error("still in use: {0}")]
    InUse(Cow<'static, str>),
    /// Without this key nobody could administer the broker.
    #[error("this is the last usable admin key; create another one first")]
    LastAdminKey,
    /// The agent does not know an action of its target state.
    #[error("the agent does not know the action hold")]
    AgentOutdated,
    /// The revision was never stable where the rollback should return to it.
    #[error("the revision was never stable there")]
    NeedsRollout,
    /// The stack cannot be promoted. The text says why.
    #[error("not promotable: {0}")]
    NotPromotable(String),
    /// The stack must not be deleted.
    #[error("the stack is protected from deletion")]
    DeletionProtected,
    /// The environment is protected. The text says from what.
    #[error("the environment is protected: {0}")]
    EnvironmentProtected(&'static str),
    /// The operation would exceed a limit.
    #[error("limit reached: {0}")]
    LimitReached(&'static str),
    /// The operation would exceed a quota of the generator.
    #[error("{0}")]
    QuotaExceeded(QuotaExceeded),
    /// The generator rejected the parameters. The text is for the caller.
    #[error("the generator refused: {0}")]
    GeneratorRefused(String),
    /// The generator cannot run at the moment.
    #[error("the generator is unavailable")]
    GeneratorUnavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A newer process uses this agent's key.
    #[error("a newer process uses this agent's key")]
    InstanceSuperseded,
    /// The agent is bound to a different cluster.
    #[error("the agent is bound to a different cluster")]
    WrongCluster,
    /// The controller's lease was taken over or has ended, so nothing was committed.
    #[error("the lease {0} is lost")]
    Fenced(String),
    /// This replica's fleet view is too old to answer.
    #[error("the fleet view is stale")]
    Stale,
    /// Too many requests at once for this broker.
    #[error("the broker is overloaded")]
    Overloaded,
    /// The store cannot serve requests at the moment.
    #[error("the store is unavailable")]
    Unavailable(#[source] StoreError),
    /// An internal error. The source has the cause.
    #[error("internal error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $slug:literal,)*) => {
        /// The variants of [`BrokerError`] without their data, except invalid input, which has [`InvalidCode`]s.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum BrokerErrorKind { $($(#[$doc])* $kind,)* }

        impl BrokerErrorKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The stable identifier, as in problem types.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$kind => $slug,)* }
            }
        }
    };
}

kinds! {
    /// [`BrokerError::NotFound`].
    NotFound = "not-found",
    /// [`BrokerError::Unauthenticated`].
    Unauthenticated = "unauthenticated",
    /// [`BrokerError::Forbidden`].
    Forbidden = "forbidden",
    /// [`BrokerError::AgentRetired`].
    AgentRetired = "agent-retired",
    /// [`BrokerError::AlreadyExists`].
    AlreadyExists = "already-exists",
    /// [`BrokerError::StackDeleting`].
    StackDeleting = "stack-deleting",
    /// [`BrokerError::PreconditionFailed`].
    PreconditionFailed = "precondition-failed",
    /// [`BrokerError::PositionExpired`].
    PositionExpired = "position-expired",
    /// [`BrokerError::IdempotencyKeyReused`].
    IdempotencyKeyReused = "idempotency-key-reused",
    /// [`BrokerError::Contention`].
    Contention = "contention",
    /// [`BrokerError::InUse`].
    InUse = "in-use",
    /// [`BrokerError::LastAdminKey`].
    LastAdminKey = "last-admin-key",
    /// [`BrokerError::AgentOutdated`].
    AgentOutdated = "agent-outdated",
    /// [`BrokerError::NeedsRollout`].
    NeedsRollout = "needs-rollout",
    /// [`BrokerError::NotPromotable`].
    NotPromotable = "not-promotable",
    /// [`BrokerError::DeletionProtected`].
    DeletionProtected = "deletion-protected",
    /// [`BrokerError::EnvironmentProtected`].
    EnvironmentProtected = "environment-protected",
    /// [`BrokerError::LimitReached`].
    LimitReached = "limit-reached",
    /// [`BrokerError::QuotaExceeded`].
    QuotaExceeded = "quota-exceeded",
    /// [`BrokerError::GeneratorRefused`].
    GeneratorRefused = "generator-refused",
    /// [`BrokerError::GeneratorUnavailable`].
    GeneratorUnavailable = "generator-unavailable",
    /// [`BrokerError::InstanceSuperseded`].
    InstanceSuperseded = "instance-superseded",
    /// [`BrokerError::WrongCluster`].
    WrongCluster = "wrong-cluster",
    /// [`BrokerError::Stale`].
    ViewStale = "view-stale",
    /// [`BrokerError::Overloaded`].
    Overloaded = "overloaded",
    /// [`BrokerError::Unavailable`].
    StoreUnavailable = "store-unavailable",
    /// [`BrokerError::Internal`].
    Internal = "internal",
}

impl BrokerError {
    /// Prepends `segment` to the pointer of an invalid input. Other errors stay as they are.
    #[must_use]
    pub(crate) fn within(self, segment: &str) -> Self {
        match self {
            Self::Invalid(invalid) => Self::Invalid(invalid.within(segment)),
            error => error,
        }
    }

    /// The stable identifier of the error, as in problem types.
    pub const fn slug(&self) -> &'static str {
        match self.kind() {
            Ok(kind) => kind.slug(),
            Err(code) => code.slug(),
        }
    }

    /// The variant without its data; for invalid input the code of the mistake.
    pub const fn kind(&self) -> Result<BrokerErrorKind, InvalidCode> {
        Ok(match self {
            Self::Invalid(invalid) => return Err(invalid.code),
            Self::NotFound => BrokerErrorKind::NotFound,
            Self::Unauthenticated => BrokerErrorKind::Unauthenticated,
            Self::Forbidden => BrokerErrorKind::Forbidden,
            Self::AgentRetired => BrokerErrorKind::AgentRetired,
            Self::AlreadyExists(_) => BrokerErrorKind::AlreadyExists,
            Self::StackDeleting => BrokerErrorKind::StackDeleting,
            Self::PreconditionFailed => BrokerErrorKind::PreconditionFailed,
            Self::PositionExpired => BrokerErrorKind::PositionExpired,
            Self::IdempotencyKeyReused => BrokerErrorKind::IdempotencyKeyReused,
            Self::Contention => BrokerErrorKind::Contention,
            Self::InUse(_) => BrokerErrorKind::InUse,
            Self::LastAdminKey => BrokerErrorKind::LastAdminKey,
            Self::AgentOutdated => BrokerErrorKind::AgentOutdated,
            Self::NeedsRollout => BrokerErrorKind::NeedsRollout,
            Self::NotPromotable(_) => BrokerErrorKind::NotPromotable,
            Self::DeletionProtected => BrokerErrorKind::DeletionProtected,
            Self::EnvironmentProtected(_) => BrokerErrorKind::EnvironmentProtected,
            Self::LimitReached(_) => BrokerErrorKind::LimitReached,
            Self::QuotaExceeded(_) => BrokerErrorKind::QuotaExceeded,
            Self::GeneratorRefused(_) => BrokerErrorKind::GeneratorRefused,
            Self::GeneratorUnavailable(_) => BrokerErrorKind::GeneratorUnavailable,
            Self::InstanceSuperseded => BrokerErrorKind::InstanceSuperseded,
            Self::WrongCluster => BrokerErrorKind::WrongCluster,
            Self::Stale => BrokerErrorKind::ViewStale,
            Self::Overloaded => BrokerErrorKind::Overloaded,
            Self::Unavailable(_) => BrokerErrorKind::StoreUnavailable,
            // Only controllers commit under a lease; callers of the API never see this.
            Self::Internal(_) | Self::Fenced(_) => BrokerErrorKind::Internal,
        })
    }

    /// Whether the same request can succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::StackDeleting
                | Self::Contention
                | Self::GeneratorUnavailable(_)
                | Self::Stale
                | Self::Overloaded
                | Self::Unavailable(_)
        )
    }

    /// Recommended delay before a retry; `None` if a retry cannot succeed.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::StackDeleting => Some(Duration::from_secs(5)),
            error if error.is_retryable() => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl From<StoreError> for BrokerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            StoreError::NotUnique(key) => Self::AlreadyExists(key),
            StoreError::Conflict(_) => Self::Contention,
            StoreError::QuotaExceeded(exceeded) => Self::QuotaExceeded(exceeded),
            StoreError::Fenced(lease) => Self::Fenced(lease),
            StoreError::Expired => Self::PositionExpired,
            StoreError::Unavailable(_) => Self::Unavailable(error),
            error => Self::Internal(Box::new(error)),
        }
    }
}
