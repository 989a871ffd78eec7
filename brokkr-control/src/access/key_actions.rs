//! The actions on keys, which depend on whose keys they are.

use brokkr_core::model::KeyKind;

use crate::access::action::Action;
use crate::access::actor::Actor;

/// The actions for the keys of one kind of owner.
pub(crate) struct KeyActions {
    pub(crate) read: Action,
    pub(crate) manage: Action,
    pub(crate) rotate: Action,
}

/// The actions for keys, as seen by an actor: principals may do less, with keys of their own kind only. Which of these are
/// theirs, the scope decides.
pub(crate) fn key_actions(actor: &Actor, owner: KeyKind) -> &'static KeyActions {
    if actor.kind() == owner && matches!(owner, KeyKind::Agent | KeyKind::Generator) {
        &KeyActions { read: Action::OwnKeyRead, manage: Action::OwnKeyManage, rotate: Action::OwnKeyRotate }
    } else {
        &KeyActions { read: Action::KeyRead, manage: Action::KeyManage, rotate: Action::KeyManage }
    }
}
