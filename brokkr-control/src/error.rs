//! Why an operation was not carried out, by meaning.

use std::error::Error;
use std::time::Duration;

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::store::{StoreError, UniqueKey};

/// The result of a broker's operations.
pub type BrokerResult<T> = Result<T, BrokerError>;

/// Why an operation was not carried out.
///
/// Each has a stable [`slug`](Self::slug); the HTTP layer maps each to one problem. What stands behind
/// `Internal` goes to the log and to nobody else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// No such thing, or none that this actor may see.
    #[error("not found")]
    NotFound,
    /// No valid key.
    #[error("not authenticated")]
    Unauthenticated,
    /// Keys of this kind may not do this.
    #[error("forbidden")]
    Forbidden,
    /// The agent is retired.
    #[error("the agent is retired")]
    AgentRetired,
    /// The input is refused.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Something that must be unique exists already.
    #[error("exists already: {0}")]
    AlreadyExists(UniqueKey),
    /// The stack is being deleted.
    #[error("the stack is being deleted")]
    StackDeleting,
    /// The entity is not of the version that the caller expects.
    #[error("the entity has changed")]
    PreconditionFailed,
    /// What follows this position of the feed is no longer kept.
    #[error("the position is older than what is kept")]
    PositionExpired,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// The operation lost every race against others.
    #[error("too many concurrent changes")]
    Contention,
    /// The thing is still needed by others.
    #[error("still in use: {0}")]
    InUse(&'static str),
    /// The limit of a number of things is reached.
    #[error("limit reached: {0}")]
    LimitReached(&'static str),
    /// The generator refused the parameters.
    #[error("the generator refused: {0}")]
    GeneratorRefused(String),
    /// The generator cannot work now.
    #[error("the generator is unavailable")]
    GeneratorUnavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A newer process speaks for this agent.
    #[error("a newer process runs with this agent's key")]
    InstanceSuperseded,
    /// The agent is bound to another cluster.
    #[error("the agent belongs to another cluster")]
    WrongCluster,
    /// This replica's view is too old to answer from.
    #[error("the view is stale")]
    Stale,
    /// The store cannot serve now.
    #[error("the store is unavailable")]
    Unavailable(#[source] StoreError),
    /// A defect.
    #[error("internal error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $slug:literal,)*) => {
        /// The kinds of [`BrokerError`], beside the [`InvalidCode`]s of refused input.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum BrokerErrorKind { $($(#[$doc])* $kind,)* }

        impl BrokerErrorKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The stable slug, as used in problem types.
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
    /// [`BrokerError::LimitReached`].
    LimitReached = "limit-reached",
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
    /// [`BrokerError::Unavailable`].
    StoreUnavailable = "store-unavailable",
    /// [`BrokerError::Internal`].
    Internal = "internal",
}

impl BrokerError {
    /// The stable name of what happened.
    pub const fn slug(&self) -> &'static str {
        match self.kind() {
            Ok(kind) => kind.slug(),
            Err(code) => code.slug(),
        }
    }

    /// What happened, without its particulars; for a refused input the class of its mistake.
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
            Self::LimitReached(_) => BrokerErrorKind::LimitReached,
            Self::GeneratorRefused(_) => BrokerErrorKind::GeneratorRefused,
            Self::GeneratorUnavailable(_) => BrokerErrorKind::GeneratorUnavailable,
            Self::InstanceSuperseded => BrokerErrorKind::InstanceSuperseded,
            Self::WrongCluster => BrokerErrorKind::WrongCluster,
            Self::Stale => BrokerErrorKind::ViewStale,
            Self::Unavailable(_) => BrokerErrorKind::StoreUnavailable,
            Self::Internal(_) => BrokerErrorKind::Internal,
        })
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::StackDeleting | Self::Contention | Self::GeneratorUnavailable(_) | Self::Stale | Self::Unavailable(_)
        )
    }

    /// How long to wait before that.
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
            StoreError::Expired => Self::PositionExpired,
            StoreError::Unavailable(_) => Self::Unavailable(error),
            error => Self::Internal(Box::new(error)),
        }
    }
}
