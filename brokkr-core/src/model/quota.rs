//! Quotas: how much one generator may keep in the broker.

use std::fmt;

use super::limits;

macro_rules! quotas {
    ($($(#[$doc:meta])* $quota:ident = $slug:literal, $default:expr, $remedy:literal;)*) => {
        /// What a quota limits. Each is the use of one generator.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Quota { $($(#[$doc])* $quota,)* }

        impl Quota {
            /// Every quota.
            pub const ALL: &[Self] = &[$(Self::$quota,)*];

            /// The stable name, as problems contain it.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$quota => $slug,)* }
            }

            /// The default of the largest use.
            pub const fn default_maximum(self) -> u64 {
                match self { $(Self::$quota => $default,)* }
            }

            /// What a caller can do once the quota is used up.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$quota => $remedy,)* }
            }
        }
    };
}

quotas! {
    /// Living stacks, also those that are being deleted.
    Stacks = "stacks", 10_000, "delete stacks that are no longer needed, or ask the operator for a higher quota";
    /// Revisions of all stacks. Revisions are kept when a stack is deleted.
    Revisions = "revisions", 1_000_000, "ask the operator for a higher quota: revisions are kept for ever";
    /// Bytes of the manifests of all revisions, each revision counted in full.
    ManifestBytes = "manifest-bytes", 100 * 1024 * 1024 * 1024,
        "publish smaller manifests, or ask the operator for a higher quota: revisions are kept for ever";
    /// Keys that are not revoked.
    Keys = "keys", limits::KEYS_PER_PRINCIPAL as u64, "delete keys that are no longer used";
    /// Answers to requests with an idempotency key, which are kept for one to two days.
    IdempotencyRecords = "idempotency-records", 100_000,
        "send fewer requests with an idempotency key; records are dropped after two days";
    /// Polls of one agent's key that wait at one broker.
    OpenPolls = "open-polls", 16, "end polls before new ones; one agent needs one";
}

/// A quota that a request would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaExceeded {
    /// The quota.
    pub quota: Quota,
    /// The use when the request came.
    pub used: u64,
    /// The largest use.
    pub maximum: u64,
}

impl fmt::Display for QuotaExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request exceeds the quota {}: {} of {} are used", self.quota.slug(), self.used, self.maximum)
    }
}
