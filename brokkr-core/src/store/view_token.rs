//! View tokens: positions from which a fleet view continues.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::model::{Epoch, Generation};
use crate::store::FeedPosition;

/// A store's own representation of the commits that a view has seen.
///
/// Only the store that issued a [`ViewToken`] interprets it. The PostgreSQL store keeps a transaction snapshot, the
/// in-memory store a counter.
pub trait Moment: Any + Debug + Send + Sync {
    /// Whether the commit at this feed position has been seen.
    fn contains(&self, position: FeedPosition) -> bool;
}

/// The position of a fleet view in a store's history. Opaque to everyone except the store that issued it.
#[derive(Debug, Clone)]
pub struct ViewToken {
    epoch: Epoch,
    generation: Generation,
    moment: Arc<dyn Moment>,
}

impl ViewToken {
    /// A token in the history `epoch`. `generation` must order the tokens of all brokers on the same data: a token that
    /// has seen more commits has a higher one.
    pub fn new(epoch: Epoch, generation: Generation, moment: impl Moment) -> Self {
        Self { epoch, generation, moment: Arc::new(moment) }
    }

    /// A token that has seen nothing and belongs to no history. Every store answers it with
    /// [`Expired`](crate::store::StoreError::Expired).
    pub fn nothing() -> Self {
        Self::new(Epoch::from_uuid(uuid::Uuid::nil()), Generation::default(), Nothing)
    }

    /// The history that the token belongs to. Once a new epoch begins, stores answer older tokens with
    /// [`Expired`](crate::store::StoreError::Expired).
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The generation of the view. A token that has seen more commits has a higher generation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether the view has seen the commit at this feed position.
    pub fn contains(&self, position: FeedPosition) -> bool {
        self.moment.contains(position)
    }

    /// The issuing store's own representation; `None` if a store of another type issued the token.
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
