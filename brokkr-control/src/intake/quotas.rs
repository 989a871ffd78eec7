//! Quotas of generators.

use std::collections::BTreeMap;

use brokkr_core::model::Quota;

/// The largest use of each quota by one generator.
///
/// ```
/// use brokkr_control::Quotas;
/// use brokkr_core::model::Quota;
///
/// let quotas = Quotas::default().with(Quota::Stacks, 100);
/// assert_eq!(quotas.maximum(Quota::Stacks), 100);
/// assert_eq!(quotas.maximum(Quota::Keys), 16);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quotas(BTreeMap<Quota, u64>);

impl Quotas {
    /// Sets one quota. Default: [`Quota::default_maximum`].
    #[must_use]
    pub fn with(mut self, quota: Quota, maximum: u64) -> Self {
        self.0.insert(quota, maximum);
        self
    }

    /// The largest use of a quota.
    pub fn maximum(&self, quota: Quota) -> u64 {
        self.0.get(&quota).copied().unwrap_or(quota.default_maximum())
    }
}
