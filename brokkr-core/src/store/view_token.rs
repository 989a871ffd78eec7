//! How far a view has read.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::model::{Epoch, Generation};
use crate::store::FeedPosition;

/// What a store remembers of a moment at which a view was read.
///
/// Only the store that issued a [`ViewToken`] looks inside: one on PostgreSQL keeps a transaction snapshot, the one in memory a
/// counter.
pub trait Moment: Any + Debug + Send + Sync {
    /// Whether a reader at this moment has seen the commit at a position.
    fn contains(&self, position: FeedPosition) -> bool;
}

/// How far a view has read. Opaque to everyone but the store that issued it.
#[derive(Debug, Clone)]
pub struct ViewToken {
    epoch: Epoch,
    generation: Generation,
    moment: Arc<dyn Moment>,
}

impl ViewToken {
    /// A token of this history. `generation` counts the commits that the moment contains, so tokens of all replicas compare by it.
    pub fn new(epoch: Epoch, generation: Generation, moment: impl Moment) -> Self {
        Self { epoch, generation, moment: Arc::new(moment) }
    }

    /// A token that has seen nothing and belongs to no history: every store refuses it.
    pub fn nothing() -> Self {
        Self::new(Epoch::from_uuid(uuid::Uuid::nil()), Generation::default(), Nothing)
    }

    /// The history that the token belongs to. When history forks, the store refuses tokens of the former one with
    /// [`Expired`](crate::store::StoreError::Expired).
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The number of commits seen. A token that contains another one has a higher generation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether the reader has seen the commit at a position.
    pub fn contains(&self, position: FeedPosition) -> bool {
        self.moment.contains(position)
    }

    /// What the store remembered; `None` for a token that another kind of store issued.
    pub fn moment<M: Moment>(&self) -> Option<&M> {
        let moment: &dyn Any = &*self.moment;
        moment.downcast_ref()
    }
}

#[derive(Debug)]
struct Nothing;

impl Moment for Nothing {
    fn contains(&self, _: FeedPosition) -> bool {
        false
    }
}
