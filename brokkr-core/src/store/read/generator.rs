//! Reading generators.

use async_trait::async_trait;

use crate::model::{GeneratorId, GeneratorPrincipal};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Reads generators. Tombstones do not exist for it.
#[async_trait]
pub trait GeneratorReader {
    /// One generator.
    async fn generator_get(&self, scope: &Scope, id: GeneratorId) -> StoreResult<GeneratorPrincipal>;

    /// All, by id.
    async fn generator_list(
        &self,
        scope: &Scope,
        page: &Page<GeneratorId>,
    ) -> StoreResult<Listing<GeneratorPrincipal, GeneratorId>>;
}
